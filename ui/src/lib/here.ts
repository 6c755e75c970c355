// Where the node is for a page: where the page came from, which may be a proxy with another name and TLS before it.

/** The same path at the address that this page came from. */
export const here = (url: string): URL => new URL(new URL(url).pathname, location.href);
