//! What was recorded on this machine: the films in the person's folder, with the titles and tags that they were given here.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::sync::{Mutex, Semaphore};

use super::browser;

/// More than a person looks through; the newest are listed.
const FILMS_MAX: usize = 2_000;
/// One that was written to since may be written to now.
const SETTLED: Duration = Duration::from_secs(10);
/// What a film is, is known by then.
const LOOK_LIMIT: Duration = Duration::from_secs(20);
/// A small picture has fewer bytes than that.
const PICTURE_MAX: u64 = 512 << 10;
const TITLE_MAX: usize = 200;
const TAG_MAX: usize = 40;
const TAGS_MAX: usize = 20;
const KIND: &str = "mp4";

/// A film as the page lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Film {
    /// Its file's name, and the name that the page has for it.
    pub file: String,
    /// Where nobody gave it one, the file's without its ending.
    pub title: String,
    pub tags: Vec<String>,
    pub bytes: u64,
    /// When it was last written to, in milliseconds since 1970.
    pub written: u64,
    /// It is being recorded, or was a moment ago.
    pub is_growing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Films {
    pub folder: String,
    pub films: Vec<Film>,
}

/// What only its content says.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Content {
    /// `None` where the file does not say.
    pub seconds: Option<f64>,
    pub width: u32,
    pub height: u32,
    pub has_sound: bool,
    /// A small picture, as an address that holds all of it.
    #[serde(default)]
    pub picture: Option<String>,
}

/// What a person says of a film.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Words {
    pub title: String,
    pub tags: Vec<String>,
}

type Book = BTreeMap<String, Words>;

#[derive(Debug)]
pub struct Library {
    program: PathBuf,
    /// Where films are.
    folder: PathBuf,
    /// Where what is known of them is kept.
    kept: PathBuf,
    /// One film is looked at after the other.
    turn: Semaphore,
    /// Of the file with the words.
    book: Mutex<()>,
}

impl Library {
    pub fn new(program: &Path, folder: PathBuf, data: &Path) -> Self {
        let (program, kept) = (program.to_owned(), data.join("library"));
        Self { program, folder, kept, turn: Semaphore::new(1), book: Mutex::default() }
    }

    /// The newest first.
    pub async fn films(&self) -> Result<Films, String> {
        let book = self.read_book().await?;
        let folder = self.folder.clone();
        let found = tokio::task::spawn_blocking(move || list(&folder, SystemTime::now()));
        let found = found.await.map_err(|err| err.to_string())?;
        let found =
            found.map_err(|err| format!("{} cannot be looked into: {err}.", self.folder.display()))?;
        let films = found.into_iter().map(|film| match book.get(&film.file) {
            Some(Words { title, tags }) => {
                let title = if title.is_empty() { film.title } else { title.clone() };
                Film { title, tags: tags.clone(), ..film }
            }
            None => film,
        });
        Ok(Films { folder: self.folder.display().to_string(), films: films.collect() })
    }

    /// By a process of its own, once for each film as it is.
    pub async fn content(&self, file: &str) -> Result<Content, String> {
        let path = self.path(file)?;
        let film = film(&path, SystemTime::now()).map_err(|err| gone(file, &err))?;
        let name = format!("{}-{}-{}", film.written, film.bytes, film.file);
        let (picture, told) = (self.kept.join(format!("{name}.jpg")), self.kept.join(format!("{name}.json")));
        let said = match tokio::fs::read_to_string(&told).await {
            Ok(said) => said,
            Err(_) => {
                let _turn = self.turn.acquire().await.map_err(|err| err.to_string())?;
                let said = self.look(&path, &picture).await?;
                if !film.is_growing {
                    let kept = write(&told, said.as_bytes()).await;
                    kept.map_err(|err| format!("What is known of {file} cannot be kept: {err}."))?;
                }
                said
            }
        };
        let content: Content =
            serde_json::from_str(&said).map_err(|err| format!("{file} was not understood: {err}."))?;
        let is_small = tokio::fs::metadata(&picture).await.is_ok_and(|found| found.len() <= PICTURE_MAX);
        let bytes = if is_small { tokio::fs::read(&picture).await.ok() } else { None };
        let picture = bytes.map(|bytes| format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)));
        Ok(Content { picture, ..content })
    }

    async fn look(&self, path: &Path, picture: &Path) -> Result<String, String> {
        tokio::fs::create_dir_all(&self.kept)
            .await
            .map_err(|err| format!("{} cannot be made: {err}.", self.kept.display()))?;
        let mut command = Command::new(&self.program);
        command.arg("film").arg("--picture").arg(picture).arg("--").arg(path).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = tokio::time::timeout(LOOK_LIMIT, command.output()).await;
        let output = output.map_err(|_| "It takes too long to read.".to_owned())?;
        let output = output.map_err(|err| format!("It could not be looked at: {err}."))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let why = said.lines().find_map(|line| line.strip_prefix("tickcast: "));
        Err(why.map_or_else(|| "It cannot be read.".to_owned(), |why| format!("It cannot be read: {why}.")))
    }

    pub async fn describe(&self, file: &str, words: Words) -> Result<(), String> {
        self.path(file)?;
        let words = words.checked()?;
        let _book = self.book.lock().await;
        let mut book = self.read_book().await?;
        if words == Words::default() {
            book.remove(file);
        } else {
            book.insert(file.to_owned(), words);
        }
        self.write_book(&book).await
    }

    /// In whatever the person plays films with.
    pub async fn play(&self, file: &str) -> Result<(), String> {
        let path = self.path(file)?;
        film(&path, SystemTime::now()).map_err(|err| gone(file, &err))?;
        browser::open_path(&path).await
    }

    pub async fn show_folder(&self) -> Result<(), String> {
        browser::open_path(&self.folder).await
    }

    /// To where the desktop keeps what is thrown away, from which it can be brought back.
    pub async fn remove(&self, file: &str) -> Result<(), String> {
        let path = self.path(file)?;
        let film = film(&path, SystemTime::now()).map_err(|err| gone(file, &err))?;
        if film.is_growing {
            return Err("It is being recorded. End that first.".into());
        }
        let thrown = tokio::task::spawn_blocking(move || trash::delete(&path)).await;
        let thrown = thrown.map_err(|err| err.to_string())?;
        thrown.map_err(|err| format!("{file} could not be moved to the trash: {err}."))?;
        let _book = self.book.lock().await;
        let mut book = self.read_book().await?;
        if book.remove(file).is_some() {
            self.write_book(&book).await?;
        }
        Ok(())
    }

    /// A film of the folder's own, and nothing that a page makes up.
    fn path(&self, file: &str) -> Result<PathBuf, String> {
        let plain = Path::new(file);
        let is_name = plain.file_name().is_some_and(|name| name == plain.as_os_str());
        let is_film = plain.extension().is_some_and(|kind| kind == KIND);
        match is_name && is_film {
            true => Ok(self.folder.join(file)),
            false => Err("That is no recording.".into()),
        }
    }

    fn book_path(&self) -> PathBuf {
        self.kept.join("words.json")
    }

    async fn read_book(&self) -> Result<Book, String> {
        match tokio::fs::read(self.book_path()).await {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|err| format!("{} was not understood: {err}.", self.book_path().display())),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Book::new()),
            Err(err) => Err(format!("{} cannot be read: {err}.", self.book_path().display())),
        }
    }

    async fn write_book(&self, book: &Book) -> Result<(), String> {
        let failed = |err: io::Error| format!("{} cannot be written: {err}.", self.book_path().display());
        tokio::fs::create_dir_all(&self.kept).await.map_err(failed)?;
        let text = serde_json::to_vec_pretty(book).map_err(|err| failed(err.into()))?;
        write(&self.book_path(), &text).await.map_err(failed)
    }
}

impl Words {
    fn checked(self) -> Result<Self, String> {
        let title = self.title.trim().to_owned();
        if title.chars().count() > TITLE_MAX {
            return Err(format!("A title has at most {TITLE_MAX} letters."));
        }
        let mut tags: Vec<String> = Vec::new();
        for tag in self.tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
            if tag.chars().count() > TAG_MAX {
                return Err(format!("A tag has at most {TAG_MAX} letters."));
            }
            if !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_owned());
            }
        }
        if tags.len() > TAGS_MAX {
            return Err(format!("A recording has at most {TAGS_MAX} tags."));
        }
        Ok(Self { title, tags })
    }
}

fn gone(file: &str, err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::NotFound => format!("{file} is not there any more."),
        _ => format!("{file} cannot be read: {err}."),
    }
}

/// Whole, or as it was: at any instant.
async fn write(to: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = to.with_extension("part");
    let mut file = tokio::fs::File::create(&unfinished).await?;
    tokio::io::AsyncWriteExt::write_all(&mut file, bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(unfinished, to).await
}

/// A folder that is not there has no films.
fn list(folder: &Path, now: SystemTime) -> io::Result<Vec<Film>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(err),
    };
    let mut films = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // What is no film, and one that went away meanwhile, is passed over.
        if path.extension().is_some_and(|kind| kind == KIND)
            && let Ok(film) = film(&path, now)
        {
            films.push(film);
        }
    }
    films.sort_by(|a, b| (b.written, &a.file).cmp(&(a.written, &b.file)));
    films.truncate(FILMS_MAX);
    Ok(films)
}

fn film(path: &Path, now: SystemTime) -> io::Result<Film> {
    let found = std::fs::metadata(path)?;
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(file) = name.filter(|_| found.is_file()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no recording"));
    };
    let written = found.modified()?;
    let is_growing = now.duration_since(written).is_ok_and(|since| since < SETTLED);
    let since_1970 = written.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Film {
        file: file.to_owned(),
        title: path.file_stem().and_then(|stem| stem.to_str()).unwrap_or(file).to_owned(),
        tags: Vec::new(),
        bytes: found.len(),
        written: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        is_growing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(folder: &Path) -> Library {
        Library::new(Path::new("/nowhere"), folder.join("films"), folder)
    }

    #[tokio::test]
    async fn what_is_no_recording_of_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path());
        std::fs::write(folder.path().join("secret.mp4"), "").unwrap();
        for name in
            ["", "..", "../secret.mp4", "/etc/passwd", "a/../../secret.mp4", "notes.txt", ".mp4/x.mp4"]
        {
            assert!(library.remove(name).await.unwrap_err().contains("no recording"), "{name}");
            assert!(library.play(name).await.is_err() && library.content(name).await.is_err(), "{name}");
        }
        assert!(folder.path().join("secret.mp4").exists());
        assert_eq!(library.remove("gone.mp4").await.unwrap_err(), "gone.mp4 is not there any more.");
    }

    #[tokio::test]
    async fn films_are_listed_newest_first_with_the_words_that_they_were_given() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path());
        assert_eq!(library.films().await.unwrap().films, [], "there is no folder yet");
        let films = folder.path().join("films");
        std::fs::create_dir_all(films.join("a folder.mp4")).unwrap();
        for (name, days) in [("old.mp4", 3), ("new.mp4", 1), ("notes.txt", 0), ("now.mp4", 0)] {
            let file = std::fs::File::create(films.join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(days * 86_400)).unwrap();
        }
        let words =
            Words { title: " A concert ".into(), tags: vec![" live".into(), "live".into(), "".into()] };
        library.describe("old.mp4", words).await.unwrap();
        let told = library.films().await.unwrap().films;
        let told: Vec<_> =
            told.iter().map(|film| (&*film.title, film.tags.join(","), film.is_growing)).collect();
        let none = String::new;
        assert_eq!(
            told,
            [("now", none(), true), ("new", none(), false), ("A concert", "live".into(), false)]
        );
        // Without words it is called as its file is.
        library.describe("old.mp4", Words::default()).await.unwrap();
        assert_eq!(library.films().await.unwrap().films[2].title, "old");
        assert!(library.remove("now.mp4").await.unwrap_err().contains("being recorded"));
    }

    #[tokio::test]
    async fn words_have_bounds_and_a_book_that_is_damaged_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path());
        let tags = |tags: Vec<String>| Words { title: String::new(), tags };
        let long = Words { title: "é".repeat(TITLE_MAX + 1), tags: vec![] };
        assert!(library.describe("a.mp4", long).await.unwrap_err().contains("200"));
        assert!(library.describe("a.mp4", tags(vec!["t".repeat(TAG_MAX + 1)])).await.is_err());
        let many = (0..=TAGS_MAX).map(|number| number.to_string()).collect();
        assert!(library.describe("a.mp4", tags(many)).await.is_err());
        std::fs::create_dir_all(&library.kept).unwrap();
        std::fs::write(library.book_path(), "{ half").unwrap();
        assert!(
            library.describe("a.mp4", tags(vec!["x".into()])).await.unwrap_err().contains("not understood")
        );
        assert_eq!(std::fs::read_to_string(library.book_path()).unwrap(), "{ half");
    }
}
