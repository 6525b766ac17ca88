//! Tables of README.md that commands write.

use std::fs;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Puts a text between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
pub(crate) fn replace(workspace: &Workspace, name: &str, text: &str) -> Result<()> {
    let file = workspace.root.join("README.md");
    let old = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let new = replaced(&old, name, text).with_context(|| {
        format!(
            "{} has no place `<!-- {name}: begin -->` for the table",
            file.display()
        )
    })?;
    fs::write(&file, new).with_context(|| format!("writing {}", file.display()))
}

fn replaced(old: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let (before, rest) = old.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n\n{}\n\n{end}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_marks_is_replaced() {
        let old = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb";
        let new = "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb";
        assert_eq!(replaced(old, "x", "new\n").as_deref(), Some(new));
        assert_eq!(replaced(old, "y", "new"), None);
    }
}
