"""A visitor's way through the guest book, with a real browser and a running instance.

Needs ``chromium`` and ``chromedriver`` on the PATH and the instance's address in ``APP_URL``. It is not part of a plain
``pytest``; ask for it with ``pytest tests_browser``. Whatever is missing is a failure, never a skip.
"""

import os
import shutil
import uuid
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

pytestmark = pytest.mark.browser

WAIT_SECONDS = 10


def program(name: str) -> str:
    """Return the path of a program that has to be there."""
    path = shutil.which(name)
    assert path is not None, f"{name} is not on the PATH; on Debian: apt-get install chromium chromium-driver"
    return path


@pytest.fixture
def url() -> str:
    """The address of the instance under test."""
    address = os.environ.get("APP_URL", "")
    assert address, "APP_URL is not set; set it to the address of a running instance, such as http://127.0.0.1:8080"
    return address


@pytest.fixture
def browser() -> Iterator[Chrome]:
    """A fresh headless browser."""
    options = ChromeOptions()
    options.binary_location = program("chromium")
    options.add_argument("--headless=new")
    options.add_argument("--disable-dev-shm-usage")  # a container's /dev/shm is too small for Chromium
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses to run as root with its sandbox
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, ChromeService(program("chromedriver")))
    yield driver
    driver.quit()


def leave_note(browser: Chrome, author: str, text: str) -> None:
    """Fill in the form as a visitor does, and wait for the page that follows."""
    form = browser.find_element(By.TAG_NAME, "form")
    browser.find_element(By.ID, "author").send_keys(author)
    browser.find_element(By.ID, "text").send_keys(text)
    browser.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    WebDriverWait(browser, WAIT_SECONDS).until(expected_conditions.staleness_of(form))


def test_a_visitor_leaves_a_note(browser: Chrome, url: str) -> None:
    browser.get(url)
    assert browser.title == "Guest book"

    text = f"Seen on {uuid.uuid4()}"
    leave_note(browser, "Ada", text)

    newest = browser.find_element(By.CSS_SELECTOR, ".notes li")
    assert newest.find_element(By.CSS_SELECTOR, ".note").text == text
    assert "Ada" in newest.text


def test_a_script_is_shown_and_does_not_run(browser: Chrome, url: str) -> None:
    browser.get(url)

    script = f"<script>document.title = '{uuid.uuid4()}'</script>"
    leave_note(browser, "<b>Mallory</b>", script)

    newest = browser.find_element(By.CSS_SELECTOR, ".notes li")
    assert newest.find_element(By.CSS_SELECTOR, ".note").text == script
    assert "<b>Mallory</b>" in newest.text
    assert not browser.find_elements(By.TAG_NAME, "script")
    assert not browser.find_elements(By.CSS_SELECTOR, ".notes b")
    assert browser.title == "Guest book"


def test_the_page_keeps_to_its_own_content_security_policy(browser: Chrome, url: str) -> None:
    browser.get(url)

    font = browser.find_element(By.TAG_NAME, "body").value_of_css_property("font-family")
    assert "system-ui" in font, "the style sheet was not applied"
    assert browser.get_log("browser") == []
