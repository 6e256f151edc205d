// Lists that fetch themselves, page by page.

import type { CallOptions } from './calls.js';
import { malformedResponse } from './errors.js';

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** For `page()`, to get the next one. Empty: there is none. */
  readonly nextPageToken: string;
}

/** How a list is fetched. */
export interface ListOptions extends CallOptions {
  /** How many items to fetch at a time, up to 1,000. Absent: 100. The timeout is for each page. */
  readonly pageSize?: number | undefined;
}

/** A list: iterate it with `for await`, take it whole with `toArray()`, or page by page with `page()`. */
export class List<T> implements AsyncIterable<T> {
  readonly #fetch: (pageToken: string) => Promise<Page<T>>;

  constructor(fetch: (pageToken: string) => Promise<Page<T>>) {
    this.#fetch = fetch;
  }

  /** Fetches the first page, or the one that `pageToken` names. */
  page(pageToken = ''): Promise<Page<T>> {
    return this.#fetch(pageToken);
  }

  /** Every item, fetched as it is needed. A change meanwhile may be seen or not. */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    let token = '';
    do {
      const page = await this.#fetch(token);
      yield* page.items;
      if (page.nextPageToken !== '' && page.nextPageToken === token) throw malformedResponse('a new page token');
      token = page.nextPageToken;
    } while (token !== '');
  }

  /** Fetches everything. */
  async toArray(): Promise<T[]> {
    const items: T[] = [];
    for await (const item of this) items.push(item);
    return items;
  }
}
