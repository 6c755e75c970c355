//! The viewer's window: asks what is to be known before the first paid second, shows what a player presents, lets it be
//! heard, and says what it costs.

mod panels;
mod sheet;
mod view;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use codec::Scaler;
use media::{Slot, Worker};
use pay::Amount;
use tokio::sync::Notify;
use widgets::eframe::{self, CreationContext, NativeOptions};
use widgets::egui::{
    self, ColorImage, Context, TextureHandle, TextureOptions, ViewportBuilder, ViewportCommand, WindowLevel,
    vec2,
};
use widgets::picture::image;
use widgets::text::capitalised;
use widgets::window::Holdups;
pub use widgets::window::{Look, WindowError};

use crate::pay_socket::PayHandle;
use crate::player::{DrawingTime, Player, PresentedPicture};
use crate::quality::Quality;
use audiosink::Sound;
use panels::{Panels, Shown};
use sheet::Sheet;
pub use sheet::{Agreement, Choice, Draft, Question, Reply, Terms};
use view::{Order, Phase, View, cost, figures};
pub use widgets::secret::Secret;

/// In points.
const FIRST: [f32; 2] = [960.0, 540.0];
const LEAST: [f32; 2] = [360.0, 220.0];
/// Figures are renewed this often where no picture comes.
const RENEWED: Duration = Duration::from_millis(200);
/// How long the picture's thread rests where there is none: a fraction of what an eye notices.
const REST: Duration = Duration::from_millis(3);

/// A window as whoever plays sees it. Clones are the same window.
#[derive(Clone, Default)]
pub struct WindowHandle(Arc<Door>);

#[derive(Default)]
struct Door {
    title: Mutex<String>,
    /// What the window is to become; the newest.
    next: Mutex<Option<Next>>,
    /// To what was asked; the newest.
    reply: Mutex<Option<Reply>>,
    replied: Notify,
    /// Why nothing plays any more.
    over: Mutex<Option<String>>,
    is_closing: AtomicBool,
    /// A person wants what is over to begin again.
    is_wanted_again: AtomicBool,
    wanted_again: Notify,
    left: Notify,
    context: OnceLock<Context>,
}

enum Next {
    Saying(String),
    Asking(Question),
    Playing(Box<Show>),
}

impl WindowHandle {
    pub fn name(&self, title: &str) {
        *whole(&self.0.title) = title.to_owned();
        self.wake();
    }

    /// Says what is done just now.
    pub fn say(&self, words: &str) {
        self.become_next(Next::Saying(words.to_owned()));
    }

    /// Asks; what was asked before is not asked any more.
    pub fn ask(&self, question: Question) {
        self.become_next(Next::Asking(question));
    }

    /// What a person answers. One that nobody has heard is forgotten for a newer one.
    pub async fn reply(&self) -> Reply {
        loop {
            if let Some(reply) = whole(&self.0.reply).take() {
                return reply;
            }
            self.0.replied.notified().await;
        }
    }

    pub fn play(&self, show: Show) {
        self.become_next(Next::Playing(Box::new(show)));
    }

    /// Says why nothing plays any more; the window stays, for that to be read.
    pub fn over(&self, words: &str) {
        self.0.is_wanted_again.store(false, Ordering::Relaxed);
        *whole(&self.0.over) = Some(capitalised(words));
        self.wake();
    }

    /// Until a person wants what is over to begin again. Then nothing is over any more.
    pub async fn again(&self) {
        while !self.0.is_wanted_again.swap(false, Ordering::Relaxed) {
            self.0.wanted_again.notified().await;
        }
        *whole(&self.0.over) = None;
    }

    pub fn close(&self) {
        self.0.is_closing.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Until a person has closed it, or pressed Stop.
    pub async fn left(&self) {
        self.0.left.notified().await;
    }

    fn want_again(&self) {
        self.0.is_wanted_again.store(true, Ordering::Relaxed);
        self.0.wanted_again.notify_one();
    }

    fn why_over(&self) -> Option<String> {
        whole(&self.0.over).clone()
    }

    fn answer(&self, reply: Reply) {
        *whole(&self.0.reply) = Some(reply);
        self.0.replied.notify_one();
    }

    fn become_next(&self, next: Next) {
        *whole(&self.0.next) = Some(next);
        self.wake();
    }

    fn wake(&self) {
        if let Some(context) = self.0.context.get() {
            context.request_repaint();
        }
    }
}

/// Each is whole between any two operations, also when a holder panicked.
fn whole<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is paid from, and how amounts are said.
pub struct Paid {
    pub handle: PayHandle,
    /// The channel's seconds and total when it began.
    pub before: (u64, Amount),
    pub words: Box<dyn Fn(Amount) -> String + Send>,
}

/// What plays in the window.
pub struct Show {
    pub player: Arc<Player>,
    pub sound: Sound,
    pub quality: Quality,
    pub paid: Option<Paid>,
}

/// Opens the window, on the process's first thread, and returns when it has closed.
///
/// # Errors
/// Where the system has no place for windows.
pub fn run(handle: &WindowHandle, look: Look) -> Result<(), WindowError> {
    let native = NativeOptions {
        viewport: ViewportBuilder::default()
            .with_title("Tickcast")
            .with_app_id("tickcast-watch")
            .with_inner_size(look.zoomed(look.size.unwrap_or(FIRST)))
            .with_min_inner_size(look.zoomed(LEAST)),
        ..NativeOptions::default()
    };
    let shown = handle.clone();
    let ran = eframe::run_native(
        "tickcast-watch",
        native,
        Box::new(move |creation| Ok(Box::new(Window::new(creation, shown, look)))),
    );
    // Whoever plays waits for it, also where it never opened.
    handle.0.left.notify_one();
    Ok(ran?)
}

struct Window {
    handle: WindowHandle,
    title: String,
    sheet: Sheet,
    stage: Stage,
    kept: Option<Kept>,
    holdups: Holdups,
}

/// What a person has set, and what holds of the window: it stays so where something is watched again.
#[derive(Clone, Copy)]
struct Kept {
    volume: f32,
    is_muted: bool,
    is_full_screen: bool,
    is_on_top: bool,
    has_statistics: bool,
}

enum Stage {
    Saying(String),
    Asking(Question),
    Playing(Box<Playing>),
}

struct Playing {
    show: Show,
    handle: WindowHandle,
    panels: Panels,
    /// What is not asked anew each time.
    view: View,
    texture: Option<TextureHandle>,
    images: Slot<(ColorImage, Instant)>,
    drawing: DrawingTime,
    /// What the picture that is being drawn had waited before.
    waited: Option<Duration>,
    orders: Vec<Order>,
    _converter: Worker,
}

impl Window {
    fn new(creation: &CreationContext<'_>, handle: WindowHandle, look: Look) -> Self {
        let context = &creation.egui_ctx;
        look.install(context);
        // It is new: there is one window to a handle.
        let _ = handle.0.context.set(context.clone());
        Self {
            handle,
            title: String::new(),
            sheet: Sheet::default(),
            stage: Stage::Saying("Opening".to_owned()),
            kept: None,
            holdups: Holdups::default(),
        }
    }

    /// What whoever plays has said since.
    fn hear(&mut self, context: &Context) {
        let title = whole(&self.handle.0.title).clone();
        if self.title != title {
            context.send_viewport_cmd(ViewportCommand::Title(format!("{title} – Tickcast")));
            self.title = title;
        }
        let Some(next) = whole(&self.handle.0.next).take() else { return };
        if let Stage::Playing(playing) = &self.stage {
            self.kept = Some(playing.kept());
        }
        self.stage = match next {
            Next::Saying(words) => Stage::Saying(words),
            Next::Asking(question) => {
                if !matches!(self.stage, Stage::Asking(_)) {
                    self.sheet.begin();
                }
                Stage::Asking(question)
            }
            Next::Playing(show) => match Playing::new(*show, &self.title, self.handle.clone(), context) {
                Ok(mut playing) => {
                    if let Some(kept) = self.kept {
                        playing.restore(kept);
                    }
                    Stage::Playing(Box::new(playing))
                }
                Err(err) => {
                    self.handle.over(&format!("the picture cannot be shown: {err}"));
                    Stage::Saying(String::new())
                }
            },
        };
    }
}

impl Playing {
    fn new(
        show: Show,
        title: &str,
        handle: WindowHandle,
        context: &Context,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let images = Slot::new();
        let converter = convert(show.player.pictures(), images.clone(), context.clone())?;
        let view = View { title: title.to_owned(), ..View::default() };
        let (panels, orders, drawing) = (Panels::default(), Vec::new(), show.player.drawing());
        Ok(Self {
            show,
            handle,
            panels,
            view,
            texture: None,
            images,
            drawing,
            waited: None,
            orders,
            _converter: converter,
        })
    }

    fn kept(&self) -> Kept {
        let View { is_full_screen, is_on_top, has_statistics, .. } = self.view;
        let Show { sound, .. } = &self.show;
        Kept { volume: sound.volume(), is_muted: sound.is_muted(), is_full_screen, is_on_top, has_statistics }
    }

    fn restore(&mut self, kept: Kept) {
        let Kept { volume, is_muted, is_full_screen, is_on_top, has_statistics } = kept;
        self.show.sound.set_volume(volume);
        self.show.sound.set_muted(is_muted);
        (self.view.is_full_screen, self.view.is_on_top) = (is_full_screen, is_on_top);
        self.view.has_statistics = has_statistics;
    }

    fn renew(&mut self, holdups: Holdups) {
        let Show { player, sound, quality, paid } = &self.show;
        let seen = player.snapshot();
        let view = &mut self.view;
        view.phase = match self.handle.why_over() {
            Some(words) => Phase::Over { words },
            None => Phase::of(&seen, player.is_paused()),
        };
        view.delay_ms = seen.report.delay_ms.p50;
        view.height = seen.size.map(|size| size.height);
        view.quality = quality.view();
        view.figures = figures(&seen, holdups);
        (view.volume, view.is_muted) = (sound.volume(), sound.is_muted());
        view.is_paused = player.is_paused();
        view.silent_because = sound.failure();
        view.cost = paid.as_ref().map(|paid| cost(&paid.handle.status(), paid.before, &paid.words));
    }

    /// `drawn` is what the last frame took.
    fn take_picture(&mut self, context: &Context, drawn: Option<f32>) {
        if let Some((waited, drawn)) = self.waited.take().zip(drawn) {
            self.drawing.measured(waited + Duration::from_secs_f32(drawn.max(0.0)));
        }
        let Some((image, handed_out)) = self.images.take() else { return };
        self.waited = Some(handed_out.elapsed());
        match &mut self.texture {
            Some(texture) => texture.set(image, TextureOptions::LINEAR),
            None => self.texture = Some(context.load_texture("picture", image, TextureOptions::LINEAR)),
        }
    }

    fn follow(&mut self, order: Order, context: &Context) {
        match order {
            Order::Volume(share) => {
                self.show.sound.set_volume(share);
                self.show.sound.set_muted(false);
            }
            Order::Mute(is_muted) => self.show.sound.set_muted(is_muted),
            Order::Pause(true) => self.show.player.pause(),
            Order::Pause(false) => self.show.player.resume(),
            Order::FullScreen(is_full) => {
                self.view.is_full_screen = is_full;
                context.send_viewport_cmd(ViewportCommand::Fullscreen(is_full));
            }
            Order::OnTop(is_on_top) => {
                self.view.is_on_top = is_on_top;
                let level = if is_on_top { WindowLevel::AlwaysOnTop } else { WindowLevel::Normal };
                context.send_viewport_cmd(ViewportCommand::WindowLevel(level));
            }
            Order::Statistics(has) => self.view.has_statistics = has,
            Order::Quality(wish) => self.show.quality.choose(wish),
            Order::Consent => {
                if let Some(paid) = &self.show.paid
                    && let Some(offered) = paid.handle.status().offered
                {
                    paid.handle.consent(&offered.hash());
                }
            }
            Order::Again => self.handle.want_again(),
            Order::Stop => context.send_viewport_cmd(ViewportCommand::Close),
        }
    }
}

impl Playing {
    fn show(&mut self, ui: &mut egui::Ui) {
        let shown = self.texture.as_ref().map(|texture| {
            let [width, height] = texture.size();
            Shown { texture: texture.id(), size: vec2(width as f32, height as f32) }
        });
        self.panels.show(ui, &self.view, shown, &mut self.orders);
        for order in std::mem::take(&mut self.orders) {
            self.follow(order, ui.ctx());
        }
    }
}

impl eframe::App for Window {
    fn logic(&mut self, context: &Context, frame: &mut eframe::Frame) {
        let begun = Instant::now();
        if self.handle.0.is_closing.load(Ordering::Relaxed) {
            context.send_viewport_cmd(ViewportCommand::Close);
        }
        self.hear(context);
        if let Stage::Playing(playing) = &mut self.stage {
            playing.renew(self.holdups);
            playing.take_picture(context, frame.info().cpu_usage);
            context.request_repaint_after(RENEWED);
        }
        self.holdups.add(begun.elapsed());
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        match (&mut self.stage, self.handle.why_over()) {
            (Stage::Playing(playing), _) => playing.show(ui),
            (_, Some(why)) => {
                panels::only_words(ui, "Nothing plays", Some(&why));
                if panels::again(ui) {
                    self.handle.want_again();
                }
            }
            (Stage::Saying(words), None) => panels::only_words(ui, words, None),
            (Stage::Asking(question), None) => {
                panels::only_words(ui, "", None);
                match self.sheet.show(ui, &self.title, question) {
                    None => {}
                    Some(Reply::Declined) => ui.ctx().send_viewport_cmd(ViewportCommand::Close),
                    Some(reply) => {
                        if !matches!(reply, Reply::Chosen(_)) {
                            self.stage = Stage::Saying("One moment".to_owned());
                        }
                        self.handle.answer(reply);
                    }
                }
            }
        }
    }
}

/// Makes images of pictures on a thread of its own: the window's never waits for it.
fn convert(
    pictures: Slot<PresentedPicture>,
    images: Slot<(ColorImage, Instant)>,
    context: Context,
) -> Result<Worker, Box<dyn std::error::Error + Send + Sync>> {
    let mut scaler = Scaler::for_screens()?;
    let worker = Worker::spawn("watch-pictures", move |stop| {
        while !stop.is_set() {
            let Some(presented) = pictures.take() else {
                std::thread::park_timeout(REST);
                continue;
            };
            match scaler.scale(&presented.picture) {
                Ok(picture) => {
                    if let Some(image) = image(&picture) {
                        images.put((image, presented.at));
                        context.request_repaint();
                    }
                }
                Err(err) => tracing::warn!("a picture cannot be shown: {err}"),
            }
        }
    })?;
    Ok(worker)
}
