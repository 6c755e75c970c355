// Which page is shown. The address keeps it, so that a reload comes back to it.
export const PAGES = ["home", "studio", "watch", "library", "earnings", "wallet", "settings"] as const;
export type Page = (typeof PAGES)[number];

export const pageOf = (hash: string): Page => PAGES.find((page) => `#${page}` === hash) ?? "home";

class Shown {
  page = $state<Page>("home");

  go(page: Page): void {
    this.page = page;
    history.replaceState(null, "", `#${page}`);
  }
}

export const shown = new Shown();
