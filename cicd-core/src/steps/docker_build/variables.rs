//! Variables of an image by which whoever starts it is handed other code than the program that it names.

use camino::Utf8Path;

use super::codes::ImageCode;
use crate::docker::{FileTree, python_path};
use crate::formats::ImageConfig;
use crate::formats::printable::printable;
use crate::model::{Finding, Location, Severity, Target};

/// Variables whose value is code, options or a place to take code from, by who reads them.
const TAKES_CODE: &[&str] = &[
    // The C library and what it loads.
    "GCONV_PATH",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "SASL_PATH",
    "GIO_EXTRA_MODULES",
    "GIO_MODULE_DIR",
    "GTK_MODULES",
    "QT_PLUGIN_PATH",
    // Shells.
    "BASH_ENV",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "ZDOTDIR",
    "FPATH",
    // Programs in Python.
    "GUNICORN_CMD_ARGS",
    "COVERAGE_PROCESS_START",
    "COVERAGE_PROCESS_CONFIG",
    // Perl, Ruby, PHP, Tcl, R.
    "PERL5OPT",
    "PERL5LIB",
    "PERL5DB",
    "PERLLIB",
    "RUBYOPT",
    "RUBYLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "TCLLIBPATH",
    "R_PROFILE",
    "R_PROFILE_USER",
    "R_ENVIRON",
    "R_ENVIRON_USER",
    "R_LIBS",
    // JavaScript.
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE",
    "BUN_OPTIONS",
    // Java, .NET, Erlang.
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "CLASSPATH",
    "DOTNET_STARTUP_HOOKS",
    "DOTNET_ADDITIONAL_DEPS",
    "DOTNET_SHARED_STORE",
    "MONO_PATH",
    "MONO_ENV_OPTIONS",
    "ERL_FLAGS",
    "ERL_AFLAGS",
    "ERL_ZFLAGS",
    "ERL_LIBS",
    "ELIXIR_ERL_OPTIONS",
    // Git.
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_TEMPLATE_DIR",
];
/// The same, by how their names begin.
const TAKE_CODE: &[&str] = &["LD_", "BASH_FUNC_", "LUA_", "CORECLR_", "COR_", "GIT_CONFIG", "GST_PLUGIN", "UWSGI_"];
/// What Python reads and takes no code from; of any other name it does.
const HARMLESS_TO_PYTHON: &[&str] = &[
    "PYTHONASYNCIODEBUG",
    "PYTHONCASEOK",
    "PYTHONCOERCECLOCALE",
    "PYTHONDEBUG",
    "PYTHONDEVMODE",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONDUMPREFS",
    "PYTHONFAULTHANDLER",
    "PYTHONHASHSEED",
    "PYTHONINTMAXSTRDIGITS",
    "PYTHONIOENCODING",
    "PYTHONMALLOC",
    "PYTHONMALLOCSTATS",
    "PYTHONNODEBUGRANGES",
    "PYTHONNOUSERSITE",
    "PYTHONOPTIMIZE",
    "PYTHONPERFSUPPORT",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONSAFEPATH",
    "PYTHONTRACEMALLOC",
    "PYTHONUNBUFFERED",
    "PYTHONUTF8",
    "PYTHONVERBOSE",
    "PYTHONWARNDEFAULTENCODING",
];

/// Every entry of the environment by which code is taken. Of `PYTHONPATH` folders of packages are fine: each file in them belongs to one.
pub(super) fn judge(config: &ImageConfig, tree: &FileTree, dockerfile: &Utf8Path) -> Vec<Finding> {
    let finding = |name: &str, value: &str| {
        let target = printable(&format!("{name}={value}"));
        Finding::new(ImageCode::Variable, format!("{target} has code taken from where nobody looks for it"))
            .severity(Severity::High)
            .at(Location::file(dockerfile))
            .target(Target::Name(target))
    };
    let entries = config.environment.iter().filter_map(|entry| entry.split_once('='));
    let taking = entries.filter(|(name, value)| !value.is_empty() && takes_code(name, value));
    let folders = python_path(tree, &config.environment, &config.working_folder);
    let elsewhere = folders.iter().filter(|folder| !folder.is_site);
    let mut findings: Vec<_> = taking.map(|(name, value)| finding(name, value)).collect();
    findings.extend(elsewhere.map(|folder| finding("PYTHONPATH", &folder.written)));
    findings
}

fn takes_code(name: &str, value: &str) -> bool {
    match name {
        "PYTHONPATH" => false,
        // A category with a dot is imported.
        "PYTHONWARNINGS" => value.contains('.'),
        "PYTHON_PRESITE" => true,
        // The names with a line under the word are those of images and installers, such as PYTHON_VERSION.
        _ if name.strip_prefix("PYTHON").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('_')) => {
            !HARMLESS_TO_PYTHON.contains(&name)
        }
        _ => TAKES_CODE.contains(&name) || TAKE_CODE.iter().any(|start| name.starts_with(start)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{Marks, add_archive};

    /// What is found in an image of Python's with these variables.
    fn found(environment: &[&str]) -> Vec<String> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind: tar::EntryType, to: &str| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(0);
            if kind.is_symlink() {
                archive.append_link(&mut header, path, to).expect("in memory");
            } else {
                archive.append_data(&mut header, path, std::io::empty()).expect("in memory");
            }
        };
        for folder in ["opt/app/site-packages", "opt/packages", "opt/packages/flask-3.dist-info", "opt/app/lib"] {
            add(folder, tar::EntryType::Directory, "");
        }
        add("opt/packages/flask-3.dist-info/METADATA", tar::EntryType::Regular, "");
        add("opt/app/lib/flask.py", tar::EntryType::Regular, "");
        add("opt/app/link", tar::EntryType::Symlink, "lib");
        add("opt/app/file", tar::EntryType::Regular, "");
        let archive = archive.into_inner().expect("in memory");
        let mut tree = FileTree::default();
        add_archive(&mut tree, archive.as_slice(), 0, Marks::Delete, &mut |_| ()).expect("a layer");
        let config = ImageConfig {
            environment: environment.iter().map(|entry| (*entry).to_owned()).collect(),
            working_folder: "/opt/app".to_owned(),
            ..ImageConfig::default()
        };
        let findings = judge(&config, &tree, Utf8Path::new("Dockerfile"));
        findings.iter().map(|one| format!("{} {}", one.code, one.target.as_ref().expect("a target"))).collect()
    }

    #[test]
    fn no_variable_hands_other_code_to_a_program() {
        for entry in [
            "LD_PRELOAD=/opt/app/lib/x.so",
            "LD_LIBRARY_PATH=:",
            "LD_AUDIT=x.so",
            "GCONV_PATH=/opt/app",
            "PYTHONSTARTUP=/opt/app/x.py",
            "PYTHONHOME=/opt/app",
            "PYTHONINSPECT=1",
            "PYTHONUSERBASE=/opt/app",
            "PYTHONPYCACHEPREFIX=/opt/app/cache",
            "PYTHONBREAKPOINT=x.y",
            "PYTHONWARNINGS=error:::x.y",
            "PYTHONPLATLIBDIR=x",
            "NODE_OPTIONS=--require /x.js",
            "BASH_ENV=/x",
            "BASH_FUNC_ls%%=() { evil; }",
            "ENV=/x",
            "PERL5OPT=-Mx",
            "RUBYOPT=-rx",
            "JAVA_TOOL_OPTIONS=-javaagent:x.jar",
            "DOTNET_STARTUP_HOOKS=x.dll",
            "GIT_SSH_COMMAND=x",
            "GUNICORN_CMD_ARGS=--reload",
        ] {
            assert_eq!(found(&[entry]), [format!("IMG-024 {entry}")]);
            let name = entry.split('=').next().expect("a name");
            assert_eq!(found(&[&format!("{name}="), entry]), [format!("IMG-024 {entry}")], "the second of two");
            assert_eq!(found(&[entry, &format!("{name}=")]), [format!("IMG-024 {entry}")], "the first of two");
        }
        let harmless = [
            "PATH=/opt/app/bin:/bin",
            "HOME=/root",
            "PYTHON_VERSION=3.12.1",
            "PYTHONUNBUFFERED=1",
            "PYTHONDONTWRITEBYTECODE=1",
            "PYTHONWARNINGS=ignore",
            "PYTHONPROFILEIMPORTTIME=1",
            "PYTHONWARNDEFAULTENCODING=1",
            "PYTHONPERFSUPPORT=1",
            "PYTHONCASEOK=1",
            "PYTHONDUMPREFS=1",
            "JAVA_HOME=/usr/lib/jvm",
            "GIT_COMMIT=abc",
            "LDFLAGS=-s",
            "environment=ENV=x",
            "LD_PRELOAD=",
        ];
        assert_eq!(found(&harmless), Vec::<String>::new());
    }

    #[test]
    fn python_imports_from_folders_of_packages_alone() {
        for good in ["", "/opt/app/site-packages", "site-packages", "/opt/packages/:/opt/app/../app/site-packages"] {
            assert_eq!(found(&[&format!("PYTHONPATH={good}")]), Vec::<String>::new(), "{good}");
        }
        for (value, told) in [
            ("/opt/app/lib:/opt/app/site-packages", "/opt/app/lib"),
            ("/opt/app/site-packages:lib", "lib"),
            ("/opt/app/site-packages:", ""),
            ("/opt/app/link", "/opt/app/link"),
            ("/opt/app/file", "/opt/app/file"),
            ("/not/there", "/not/there"),
            ("/opt/app", "/opt/app"),
            ("/", "/"),
        ] {
            assert_eq!(found(&[&format!("PYTHONPATH={value}")]), [format!("IMG-024 PYTHONPATH={told}")]);
        }
        let twice = ["PYTHONPATH=/opt/app/site-packages", "PYTHONPATH=/opt/app/lib"];
        assert_eq!(found(&twice), ["IMG-024 PYTHONPATH=/opt/app/lib"]);
    }
}
