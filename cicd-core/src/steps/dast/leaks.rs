use std::sync::LazyLock;

use regex::Regex;

/// What frameworks and interpreters write when they fail, and paths of code. Each is found in no ordinary page.
static INSIDE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let signs = [
        r"Traceback \(most recent call last\)",
        r"(?i)werkzeug debugger|__debugger__|EVALEX",
        r"You're seeing this error because you have <code>DEBUG = True",
        r"\bat [\w.$]+\([\w]+\.(java|kt|scala):\d+\)",
        r"\bat [\w.<>]+ \(/[^)\s]+\.[cm]?js:\d+:\d+\)",
        r"goroutine \d+ \[running\]",
        r"thread '[^']*' (\(\d+\) )?panicked at",
        r"(?i)fatal error: .* in /\S+\.php on line \d+",
        r"(Action|Active)(Controller|Record|View)::\w+",
        r"(?i)(sqlite3?|psycopg2?|pymysql|mysqldb|sqlalchemy)(\.\w+)*\.(operational|programming|integrity)error",
        r"(?i)you have an error in your sql syntax|unterminated quoted string at or near",
        r"/(site-packages|dist-packages|node_modules)/",
        r#"/(usr|opt|home|srv|var|app|root|workspace)/[\w./-]+\.(py|rb|java|go|rs)\b"#,
    ];
    Regex::new(&signs.map(|sign| format!("({sign})")).join("|")).ok()
});

/// The first sign that a text shows the inside of an application.
///
/// # Errors
/// When the signs themselves cannot be looked for.
pub(super) fn inside(text: &str) -> Result<Option<&str>, &'static str> {
    let signs = INSIDE.as_ref().ok_or("the signs of a leak are no regular expression")?;
    Ok(signs.find(text).map(|found| found.as_str()))
}

/// A line of the file that every system has.
pub(super) fn is_password_file(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("root:") && line.contains(":0:0:"))
}

/// What servers title the content of a folder.
pub(super) fn is_listing(text: &str) -> bool {
    ["<title>Index of /", "<h1>Index of /", "Directory listing for /", "<title>Listing of /", "[To Parent Directory]"]
        .iter()
        .any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inside_of_applications_is_recognised_and_ordinary_text_is_not() {
        for leak in [
            "<pre>Traceback (most recent call last):\n  File \"a.py\"",
            "<title>ZeroDivisionError // Werkzeug Debugger</title>",
            "at com.example.App.main(App.java:12)",
            "at Object.handle (/srv/shop/index.js:3:7)",
            "goroutine 1 [running]:\nmain.main()",
            "thread 'main' panicked at src/main.rs:2:5",
            "thread 'tokio-runtime-worker' (17) panicked at src/main.rs:2:5",
            "Fatal error: Uncaught Exception in /var/www/index.php on line 3",
            "ActiveRecord::RecordNotFound",
            "sqlite3.OperationalError: no such table: note",
            "You have an error in your SQL syntax; check the manual",
            "File \"/usr/lib/python3/dist-packages/flask/app.py\", line 880",
            "/opt/app/myapplication/views.py",
        ] {
            assert!(inside(leak).expect("signs").is_some(), "{leak}");
        }
        for plain in [
            "<h1>Not Found</h1><p>The requested URL was not found on the server.</p>",
            "{\"error\": {\"status\": 405}}",
            "<script src=\"/static/app.js\"></script><link href=\"/app/style.css\">",
            "<script src=\"/app/main.js\"></script><a href=\"/home/index.php\">",
            "See the guide at /docs/usr/guide.html, or trace back your steps",
        ] {
            assert_eq!(inside(plain), Ok(None), "{plain}");
        }
        assert!(is_password_file("root:x:0:0:root:/root:/bin/sh\n") && !is_password_file("root: me\n"));
        assert!(is_listing("<title>Index of /static/</title>") && !is_listing("<title>Index</title>"));
    }
}
