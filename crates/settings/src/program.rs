//! Programs that a setting names.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{self, Path, PathBuf},
};

/// Looks a program up in PATH as a shell does; a path stays as it is, symbolic links included.
///
/// # Errors
/// Why it cannot be started, with the remedy.
pub fn find_program(program: &str) -> Result<PathBuf, String> {
    find(program, env::var_os("PATH").as_deref())
}

fn find(program: &str, search_path: Option<&OsStr>) -> Result<PathBuf, String> {
    if program.contains('/') {
        let path = path::absolute(program).map_err(|error| format!("`{program}`: {error}"))?;
        return match fs::metadata(&path) {
            Err(error) => Err(format!("`{}`: {error}; install it there, or mend the path", path.display())),
            Ok(_) if !is_executable(&path) => {
                Err(format!("`{}` is no program that may be run: chmod +x it", path.display()))
            }
            Ok(_) => Ok(path),
        };
    }
    let folders = search_path.map(env::split_paths).into_iter().flatten();
    let found = folders.map(|folder| folder.join(program)).find(|path| is_executable(path));
    found.ok_or_else(|| format!("there is no `{program}` in PATH: install it, or write its path"))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let path = Some(OsStr::new("/nowhere:/bin"));
        assert_eq!(find("sh", path), Ok(PathBuf::from("/bin/sh")));
        assert_eq!(find("/bin/sh", None), Ok(PathBuf::from("/bin/sh")));
        for (program, part) in [
            ("no-such-trainer", "in PATH"),
            ("/nowhere/trainer", "mend the path"),
            ("/etc/passwd", "chmod +x"),
            ("/etc", "chmod +x"),
        ] {
            let reason = find(program, path).unwrap_err();
            assert!(reason.contains(part), "{program}: {reason}");
        }
    }
}
