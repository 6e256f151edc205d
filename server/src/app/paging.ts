// Pages of a list: opaque tokens that are good for one list with the same filters, and nothing else.

import { createHash } from 'node:crypto';
import { invalidPageToken, type Result } from '../domain/errors.js';

/** Which page of a list is wanted. */
export interface PageRequest {
  /** How many items it holds at most, within what a server allows; 0: the default. */
  readonly size: number;
  /** Empty: the first page. */
  readonly token: string;
}

/** One page. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Empty: there is no next page. */
  readonly nextToken: string;
}

const DEFAULT_SIZE = 100;

/** How many items a page holds at most. */
export function pageSize({ size }: PageRequest): number {
  return size === 0 ? DEFAULT_SIZE : size;
}

/** A page as somebody asks for it, cut to what is allowed. */
export function pageWithin(maxSize: number, size: number, token: string): PageRequest {
  return { size: Math.min(pageSize({ size, token }), maxSize), token };
}

/** Makes the token for what follows `position`; `list` says which list with which filters it is of. */
export function makeToken(list: readonly unknown[], position: string): string {
  return Buffer.from(`${fingerprint(list)}${position}`).toString('base64url');
}

/** The position a token stands for; undefined for the first page. */
export function readToken(list: readonly unknown[], token: string): Result<string | undefined> {
  if (token === '') return { ok: true, value: undefined };
  const text = Buffer.from(token, 'base64url').toString();
  const mark = fingerprint(list);
  return text.startsWith(mark) ? { ok: true, value: text.slice(mark.length) } : invalidPageToken();
}

function fingerprint(list: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(list)).digest('base64url').slice(0, 8);
}

/** A page of items that are in memory. `key` is unique, and what they are sorted by. */
export function pageOf<T>(
  list: readonly unknown[],
  items: Iterable<T>,
  key: (item: T) => string,
  request: PageRequest,
): Result<Page<T>> {
  const after = readToken(list, request.token);
  if (!after.ok) return after;
  const position = after.value;
  const rest = [...items]
    .map((item) => ({ item, key: key(item) }))
    .filter((each) => position === undefined || each.key > position)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const page = rest.slice(0, pageSize(request));
  const last = page.at(-1);
  const nextToken = last && rest.length > page.length ? makeToken(list, last.key) : '';
  return { ok: true, value: { items: page.map((each) => each.item), nextToken } };
}
