//! Where in a JSON text a path leads.

/// A line and a column in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The place of the last part of a path that the text, which is valid JSON, has.
pub(crate) fn locate(text: &str, path: &str) -> Place {
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        at: 0,
    };
    scanner.space();
    let mut found = scanner.at;
    for segment in segments(path) {
        match scanner.descend(&segment) {
            Some(place) => found = place,
            None => break,
        }
    }
    let before = text.get(..found).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

enum Segment {
    Key(String),
    Element(usize),
}

/// The parts of a path such as `$.CriteriaList[2].Criteria`. Keys with dots or brackets lead nowhere.
fn segments(path: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    for part in path
        .trim_start_matches('$')
        .split('.')
        .filter(|p| !p.is_empty())
    {
        let mut pieces = part.split('[');
        if let Some(key) = pieces.next().filter(|key| !key.is_empty()) {
            segments.push(Segment::Key(key.to_owned()));
        }
        for piece in pieces {
            match piece.trim_end_matches(']').parse() {
                Ok(at) => segments.push(Segment::Element(at)),
                Err(_) => return segments,
            }
        }
    }
    segments
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Goes to the value of a segment; returns where its key or the element begins.
    fn descend(&mut self, segment: &Segment) -> Option<usize> {
        self.space();
        match (segment, self.peek()?) {
            (Segment::Key(wanted), b'{') => self.member(wanted),
            (Segment::Element(wanted), b'[') => self.element(*wanted),
            _ => None,
        }
    }

    fn member(&mut self, wanted: &str) -> Option<usize> {
        self.at += 1;
        loop {
            self.space();
            if self.peek()? != b'"' {
                return None;
            }
            let start = self.at;
            self.string();
            let key: String = serde_json::from_slice(self.bytes.get(start..self.at)?).ok()?;
            self.space();
            self.at += 1;
            self.space();
            if key == wanted {
                return Some(start);
            }
            self.skip();
            self.space();
            if self.peek()? != b',' {
                return None;
            }
            self.at += 1;
        }
    }

    fn element(&mut self, wanted: usize) -> Option<usize> {
        self.at += 1;
        for _ in 0..wanted {
            self.space();
            self.skip();
            self.space();
            if self.peek()? != b',' {
                return None;
            }
            self.at += 1;
        }
        self.space();
        (self.peek()? != b']').then_some(self.at)
    }

    /// Passes a string that begins here.
    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => return,
                _ => {}
            }
        }
    }

    /// Passes a value that begins here.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth == 0 => return,
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' if depth == 0 => return,
                _ => self.at += 1,
            }
            if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_keys_and_elements() {
        let text = "{\n  \"a\": {\"x\": \"}\\\"{\", \"b\": [1, {\"c\": 2}, [3]]},\n  \"ä\": 1, \"d\": null\n}";
        for (path, line, column) in [
            ("$", 1, 1),
            ("$.a", 2, 3),
            ("$.a.b", 2, 22),
            ("$.a.b[1]", 2, 31),
            ("$.a.b[1].c", 2, 32),
            ("$.a.b[2][0]", 2, 42),
            ("$.d", 3, 11),
            // The last part that is there.
            ("$.a.b[1].nothing", 2, 31),
            ("$.a.b[7]", 2, 22),
        ] {
            assert_eq!(locate(text, path), Place { line, column }, "{path}");
        }
    }
}
