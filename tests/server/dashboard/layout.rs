//! The page on a phone and on a desk, in light and dark, and without a mouse.

use serde_json::{json, Value};

use crate::chromium::{Chromium, Page};
use crate::harness::{event, Server};

/// Of text against what is behind it (WCAG 2.2, 1.4.3).
const LEAST_CONTRAST: f64 = 4.5;
/// Of what a finger must meet, in CSS's pixels (WCAG 2.2, 2.5.8).
const LEAST_TARGET: u32 = 24;

/// Text whose contrast is less than `least`, and how many texts there are.
const CONTRASTS: &str = "(least => {
  const probe = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const channels = color => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = color;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = element => {
    for (; element; element = element.parentElement) {
      const color = channels(getComputedStyle(element).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const seen = element => element.checkVisibility({ visibilityProperty: true })
    && !element.closest('dialog:not([open])');
  const texts = [];
  const check = (element, text, color) => {
    const [one, other] = [luminance(channels(color)), luminance(ground(element))];
    texts.push([text, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)]);
  };
  for (const element of document.querySelectorAll('body *')) {
    if (!seen(element)) continue;
    const own = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()).join('');
    const style = getComputedStyle(element);
    if (own) check(element, own, element.closest('svg') ? style.fill : style.color);
    if (element.value) check(element, element.value, style.color);
    if (element.placeholder) check(element, element.placeholder, getComputedStyle(element, '::placeholder').color);
  }
  return { count: texts.length, poor: texts.filter(([, contrast]) => contrast < least) };
})";

/// What a finger would miss, and what sticks out of the window.
const MISFITS: &str = "(least => {
  const found = [];
  const root = document.scrollingElement;
  if (root.scrollWidth > innerWidth) found.push(['page', root.scrollWidth]);
  for (const element of document.querySelectorAll('button, input, textarea, section, figure, header')) {
    if (!element.checkVisibility() || element.closest('dialog:not([open])')) continue;
    const box = element.getBoundingClientRect();
    const name = `${element.tagName} ${element.id || element.textContent}`;
    if (box.left < 0 || box.right > innerWidth + 0.5) found.push([name, 'sticks out']);
    if (element.matches('button, input') && Math.min(box.width, box.height) < least) found.push([name, box.height]);
  }
  return found;
})";

fn filled() -> Server {
    let server = Server::start(&[]);
    let mut events: Vec<Value> = (0..40)
        .map(|n| event(&format!("topic.{}", n % 7), &format!("evt-{n}")))
        .collect();
    events.push(event(&"long".repeat(60), &"x".repeat(255)));
    server.publish(&json!(events)).expect(200);
    server.publish(&json!(events[..5])).expect(200);
    let rejected = json!(["word ".repeat(60), "long".repeat(60), 17]);
    let mut client = server.client();
    let answer = client.publish_to("/publish?partial=true", rejected.to_string());
    answer.expect(200);
    server
}

fn wait_until_filled(page: &Page) {
    page.wait_for("document.querySelectorAll('#events .entry').length >= 41");
    page.wait_for("document.querySelectorAll('#topics .entry').length >= 8");
    page.wait_for("document.querySelector('#plot-rates text')");
    page.wait_for("document.querySelectorAll('#rejected tr').length === 3");
    page.wait_for_text("#health", "healthy");
}

/// Whether the first entry of the tail is the event that was published last.
const NEWEST_IS_SHOWN: &str = "(() => {
  const [, seq] = document.querySelector('#publish-answer').textContent.match(/seq (\\d+)/);
  return document.querySelector('#events .entry').textContent.trim().startsWith(seq);
})()";

#[test]
fn the_page_fits_and_can_be_read_at_any_width_in_light_and_dark() {
    let Some(browser) = Chromium::start("the dashboard's layout") else {
        return;
    };
    let server = filled();
    let page = browser.open(&server);
    for width in [320, 820, 1440] {
        page.resize(width, 800);
        for scheme in ["light", "dark"] {
            page.prefer(scheme);
            wait_until_filled(&page);
            let place = format!("{width} wide, {scheme}");
            let look = |what: &str| {
                let misfits = page.evaluate(&format!("{MISFITS}({LEAST_TARGET})"));
                assert_eq!(misfits, json!([]), "{place}, {what}");
                let texts = page.evaluate(&format!("{CONTRASTS}({LEAST_CONTRAST})"));
                assert_eq!(texts["poor"], json!([]), "{place}, {what}");
                assert!(texts["count"].as_u64() > Some(100), "{texts}");
            };
            look("the page");
            page.click("#publish [type=submit]");
            page.wait_for_text("#publish-answer", "seq");
            page.click("#publish [type=submit]");
            page.wait_for_text("#publish-answer", "duplicate");
            look("a duplicate");
            // An entry that moves between the press and the release is not clicked.
            page.wait_for(NEWEST_IS_SHOWN);
            page.click("#events .entry");
            page.wait_for("document.querySelector('#event').open");
            look("an event");
            page.press("Escape");
            page.click("#token-open");
            page.wait_for("document.querySelector('#token').open");
            look("the token");
            page.press("Escape");
            // The next round begins with what this one began with.
            page.call("Page.reload", &json!({}));
            page.wait_for("document.readyState === 'complete'");
        }
    }
    assert_eq!(page.noticed(), Vec::<String>::new());
}

/// Where the focus is, and whether it can be seen.
const FOCUS: &str = "(() => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const name = element.id || element.name || element.dataset.order || element.textContent;
  const isVisible = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const box = element.getBoundingClientRect();
  const header = document.querySelector('header').getBoundingClientRect();
  const isCovered = !element.closest('header, .skip') && box.bottom <= header.bottom;
  return [name, isVisible && !isCovered ? '' : 'not visible'].join('');
})()";

#[test]
fn everything_can_be_reached_and_done_with_the_keyboard() {
    let Some(browser) = Chromium::start("the dashboard's keyboard") else {
        return;
    };
    let server = filled();
    let page = browser.open(&server);
    wait_until_filled(&page);
    let mut order = Vec::new();
    for _ in 0..22 {
        page.press("Tab");
        order.push(page.evaluate(FOCUS).as_str().expect("a name").to_owned());
    }
    let expected = "Skip to the live tail, token-open, topics-filter, topics-scroll, topic, events, rate, last, \
                    topic, event_id, source, timestamp, payload, Publish, publish-new, \
                    rejected-scroll, tail-topic, tail-search, tail-pause, tail-clear, events";
    assert_eq!(order[..21].join(", "), expected);

    // Both lists are one stop each, and the arrows walk through them.
    let row = |at: usize| format!("document.activeElement === {}", row_of("#events li", at));
    page.evaluate("document.querySelector('#events').focus()");
    page.press("ArrowDown");
    page.wait_for(&row(1));
    page.press("ArrowDown");
    page.wait_for(&row(2));
    assert_eq!(
        page.evaluate(FOCUS)
            .as_str()
            .map(|name| name.contains("not visible")),
        Some(false)
    );
    page.press("Enter");
    page.wait_for("document.querySelector('#event').open");
    page.press("Escape");
    page.wait_for("!document.querySelector('#event').open");
    page.wait_for(&row(2));
    page.press("ArrowUp");
    page.wait_for(&row(1));
    page.press("End");
    page.wait_for(&row(41));
    page.press("Home");
    page.wait_for(&row(1));
    page.evaluate("document.querySelector('#topics-scroll').focus()");
    page.press("ArrowDown");
    page.wait_for(&format!(
        "document.activeElement === {}",
        row_of("#topics tr", 1)
    ));
    let chosen = page.evaluate("document.activeElement.innerText");
    page.press("Enter");
    page.wait_for(&format!(
        "document.querySelector('#tail-topic').value === {chosen}"
    ));

    // The form is sent from a field, and a row that is clicked while the table is drawn anew keeps its focus.
    page.evaluate("document.querySelector('[name=source]').focus()");
    page.press("Enter");
    page.wait_for_text("#publish-answer", "200 accepted");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

fn row_of(rows: &str, at: usize) -> String {
    format!("document.querySelector('{rows}:nth-child({at}) .entry')")
}
