//! The Desk's window: one page, from inside the executable.

use anyhow::Context;
use tauri::webview::NewWindowResponse;
use tauri::{Manager, Url, WebviewUrl, WebviewWindowBuilder, Window, WindowEvent};

use super::places::Places;
use super::{Desk, commands};

const LABEL: &str = "desk";

/// Opens the window and returns when it was closed.
pub fn open(desk: impl FnOnce(Places) -> anyhow::Result<Desk>) -> anyhow::Result<()> {
    let context = tauri::generate_context!();
    anyhow::ensure!(
        context.assets().get(&"index.html".into()).is_some(),
        "this tickcast was built without its pages; build it with cargo xtask, which makes them first"
    );
    reach_display()?;
    let app = tauri::Builder::default()
        .invoke_handler(tauri::generate_handler![
            commands::changes,
            commands::order,
            commands::create_stream,
            commands::rotate_key,
            commands::set_price,
            commands::open_stage_on,
            commands::open_watch,
            commands::open_stage,
            commands::watch_stream,
            commands::read_accounts,
            commands::new_account,
            commands::import_account,
            commands::balances,
            commands::earnings,
            commands::set_chain,
            commands::films,
            commands::film_content,
            commands::describe_film,
            commands::play_film,
            commands::show_films,
            commands::remove_film,
            commands::close
        ])
        .on_window_event(close_or_ask)
        .setup(|app| Ok(build(app)?))
        .build(context)
        .context("the window system could not be reached")?;
    let paths = app.path();
    let places = Places::new(&paths.data_dir()?, &paths.config_dir()?);
    app.manage(desk(places)?);
    let started = app.handle().clone();
    tauri::async_runtime::spawn(async move { started.state::<Desk>().read_accounts().await });
    app.run(|_, _| {});
    Ok(())
}

/// Tauri panics where no display answers, so that it is asked first.
#[cfg(target_os = "linux")]
fn reach_display() -> anyhow::Result<()> {
    gtk::init().map_err(|err| {
        tracing::debug!("GTK: {err}");
        anyhow::anyhow!(
            "no graphical session answers, so the Desk cannot be opened. Open it from a desktop (DISPLAY or \
             WAYLAND_DISPLAY say where); `tickcast --help` lists what runs without one"
        )
    })
}

/// Elsewhere there always is one.
#[cfg(not(target_os = "linux"))]
fn reach_display() -> anyhow::Result<()> {
    Ok(())
}

fn build(app: &tauri::App) -> tauri::Result<()> {
    WebviewWindowBuilder::new(app, LABEL, WebviewUrl::App("index.html".into()))
        .title("Tickcast")
        .inner_size(1120.0, 760.0)
        .min_inner_size(720.0, 520.0)
        // The page never leads elsewhere: other pages are the browser's.
        .on_navigation(is_own)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .build()
        .map(drop)
}

/// Whether an address is of the executable's own files, as Tauri serves them on each platform.
fn is_own(url: &Url) -> bool {
    match url.scheme() {
        "tauri" => url.host_str() == Some("localhost"),
        "http" | "https" => cfg!(windows) && url.host_str() == Some("tauri.localhost"),
        _ => false,
    }
}

fn close_or_ask(window: &Window, event: &WindowEvent) {
    if let WindowEvent::CloseRequested { api, .. } = event
        && !window.state::<Desk>().may_close()
    {
        api.prevent_close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_shows_no_page_but_its_own() {
        let own = |text: &str| is_own(&Url::parse(text).unwrap());
        assert!(own("tauri://localhost/index.html"));
        for other in
            ["tauri://other/", "http://127.0.0.1:8080/", "https://localhost/", "file:///etc/passwd", "data:,"]
        {
            assert!(!own(other), "{other}");
        }
    }
}
