use camino::Utf8PathBuf;

use super::StepError;

/// The files that a step looks at.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// What is looked at, in the given order; never empty.
    pub(crate) files: Vec<Utf8PathBuf>,
    /// How many files are left out.
    pub(crate) left_out: usize,
}

/// The files outside the folders that are left out. `none` is how their absence is told, such as `no Python file of app`.
///
/// # Errors
/// When a folder that is to be left out holds none, which is a slip of the pen, or when nothing is left to look at.
pub(crate) fn leave_out(all: Vec<Utf8PathBuf>, folders: &[Utf8PathBuf], none: &str) -> Result<Chosen, StepError> {
    if let Some(empty) = folders.iter().find(|folder| !all.iter().any(|path| path.starts_with(folder))) {
        let what = format!("{empty}, which is to be left out, holds {none}");
        return Err(StepError::not_looked(what, "correct the step's folders"));
    }
    let count = all.len();
    let files: Vec<_> = all.into_iter().filter(|path| !folders.iter().any(|folder| path.starts_with(folder))).collect();
    if files.is_empty() {
        let what = format!("there is {none} to look at");
        return Err(StepError::not_looked(what, "correct the step's folders, or leave the step out"));
    }
    Ok(Chosen { left_out: count - files.len(), files })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_left_out_and_counted_and_slips_are_told() {
        let choose = |folders: &[&str]| {
            let folders: Vec<_> = folders.iter().map(Utf8PathBuf::from).collect();
            leave_out(vec!["app/a.py".into(), "app/tests/b.py".into()], &folders, "no Python file of app")
        };
        let chosen = choose(&["app/tests"]).expect("chosen");
        assert_eq!((chosen.files, chosen.left_out), (vec!["app/a.py".into()], 1));
        let error = |folders: &[&str]| choose(folders).expect_err("refused").to_string();
        assert!(error(&["app/test"]).contains("app/test, which is to be left out, holds no Python file of app"));
        assert!(error(&["app"]).contains("there is no Python file of app to look at"));
    }
}
