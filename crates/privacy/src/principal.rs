//! Who asks: a role, a purpose, a project and a name.

/// Who asks. What it may see follows from its role, purpose and project; its name goes on record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The person or program.
    pub name: String,
    /// The role it works in.
    pub role: String,
    /// What it works for.
    pub purpose: String,
    /// The project it works in; may be left out where its role has only one.
    pub project: Option<String>,
}

impl Principal {
    /// A principal without a project of its own choice.
    #[must_use]
    pub fn new(name: &str, role: &str, purpose: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: role.to_owned(),
            purpose: purpose.to_owned(),
            project: None,
        }
    }

    /// The same principal in a project.
    #[must_use]
    pub fn in_project(mut self, project: &str) -> Self {
        self.project = Some(project.to_owned());
        self
    }
}
