//! Tables and figures as HTML.

use super::Section;
pub(super) use super::figures_escape as escape;

/// A table: headings, with `true` for columns of numbers; rows, the first cell of each its heading.
#[derive(Debug, Default)]
pub(super) struct Table {
    caption: String,
    heads: Vec<(String, bool)>,
    rows: Vec<(bool, Vec<String>)>,
}

impl Table {
    pub(super) fn new(caption: &str, heads: &[(&str, bool)]) -> Self {
        Self {
            caption: caption.to_owned(),
            heads: heads
                .iter()
                .map(|(head, number)| ((*head).to_owned(), *number))
                .collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn head(&mut self, head: &str, number: bool) {
        self.heads.push((head.to_owned(), number));
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push((false, cells));
    }

    pub(super) fn main_row(&mut self, cells: Vec<String>, main: bool) {
        self.rows.push((main, cells));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn html(&self) -> String {
        let class = |at: usize| {
            if self.heads.get(at).is_some_and(|head| head.1) {
                " class=\"num\""
            } else {
                ""
            }
        };
        let short = if self.rows.len() < 12 {
            " class=\"short\""
        } else {
            ""
        };
        let mut html = format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table{short}><caption>{caption}</caption><thead><tr>",
            caption = escape(&self.caption)
        );
        for (at, (head, _)) in self.heads.iter().enumerate() {
            html.push_str(&format!(
                "<th scope=\"col\"{}>{}</th>",
                class(at),
                escape(head)
            ));
        }
        html.push_str("</tr></thead><tbody>");
        for (main, cells) in &self.rows {
            html.push_str(if *main { "<tr class=\"main\">" } else { "<tr>" });
            for (at, cell) in cells.iter().enumerate() {
                let (tag, scope) = if at == 0 {
                    ("th", " scope=\"row\"")
                } else {
                    ("td", "")
                };
                html.push_str(&format!(
                    "<{tag}{scope}{}>{}</{tag}>",
                    class(at),
                    escape(cell)
                ));
            }
            html.push_str("</tr>");
        }
        html.push_str("</tbody></table></div>");
        html
    }
}

impl Section {
    pub(super) fn new(id: &str, heading: &str) -> Self {
        Self {
            id: id.to_owned(),
            heading: heading.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn p(&mut self, text: &str) {
        self.html.push_str(&format!("<p>{}</p>", escape(text)));
    }

    pub(super) fn h3(&mut self, text: &str) {
        self.html.push_str(&format!("<h3>{}</h3>", escape(text)));
    }

    pub(super) fn note(&mut self, text: &str) {
        self.html
            .push_str(&format!("<p class=\"note\">{}</p>", escape(text)));
    }

    pub(super) fn table(&mut self, table: &Table) {
        if !table.is_empty() {
            self.html.push_str(&table.html());
        }
    }

    /// A table that is out of the way until somebody opens it.
    pub(super) fn folded(&mut self, title: &str, table: &Table) {
        if !table.is_empty() {
            self.html.push_str(&format!(
                "<details><summary>{}</summary>{}</details>",
                escape(title),
                table.html()
            ));
        }
    }

    pub(super) fn figure(&mut self, name: &str, svg: String, caption: &str) {
        self.html.push_str(&format!(
            "<figure>{svg}<figcaption>{}</figcaption></figure>",
            escape(caption)
        ));
        self.figures.push((name.to_owned(), svg));
    }
}
