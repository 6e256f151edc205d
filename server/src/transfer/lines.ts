// An export as lines of JSON: first what the installation is, then a line for each document, last what must have come
// before it. Made for programs, legible for people: `grep` finds an address, `jq` a field.

import type { Parsed } from '@leasehold/proto/values';
import type { AuditEvent } from '../domain/audit.js';
import type { Host } from '../domain/host.js';
import type { WallTime } from '../domain/ids.js';
import type { Network } from '../domain/network.js';
import type { EndedTenure, Slot } from '../domain/slot.js';
import type { Counts, Documents, StoreIdentity } from '../ports/transfer.js';
import { audit, ended, host, network, slot } from './documents.js';
import { type Form, integer, object, text, time, Unreadable, within } from './forms.js';

/** The version of the format. Higher ones are refused, so whatever must not be read past raises it. */
export const VERSION = 2;

/** The first line. */
export interface Header extends StoreIdentity {
  readonly version: number;
  /** For people. */
  readonly exportTime: WallTime;
}

/** The last line. */
export interface Trailer extends Counts {
  /** SHA-256 of everything before it, in hexadecimal. */
  readonly sha256: string;
}

/** A line. */
export type Line =
  | { readonly kind: 'header'; readonly content: Header }
  | { readonly kind: 'network'; readonly content: Network }
  | { readonly kind: 'host'; readonly content: Host }
  | { readonly kind: 'slot'; readonly content: Slot }
  | { readonly kind: 'ended'; readonly content: EndedTenure }
  | { readonly kind: 'audit'; readonly content: AuditEvent }
  | { readonly kind: 'trailer'; readonly content: Trailer };

type Kind = Line['kind'];
type ContentOf<K extends Kind> = Extract<Line, { readonly kind: K }>['content'];

const HEADER_NAME = 'leasehold_export';

const FORMS: { readonly [K in Kind]: { readonly name: string; readonly form: Form<ContentOf<K>> } } = {
  header: {
    name: HEADER_NAME,
    form: object<Header>({
      version: integer(1),
      storeUid: text(),
      incarnation: integer(1),
      authorityS: integer(1),
      authorityCeilingS: integer(1),
      holderEpoch: integer(),
      exportTime: time,
    }),
  },
  network: { name: 'network', form: network },
  host: { name: 'host', form: host },
  slot: { name: 'slot', form: slot },
  ended: { name: 'ended', form: ended },
  audit: { name: 'audit', form: audit },
  trailer: {
    name: 'end',
    form: object<Trailer>({
      networks: integer(),
      hosts: integer(),
      slots: integer(),
      history: integer(),
      // Of version 1 there are none.
      audit: { ...integer(), absence: { isLeftOut: () => false, means: 0 } },
      sha256: text(),
    }),
  },
};

const KINDS = new Map(Object.entries(FORMS).map(([kind, { name }]) => [name, kind as Kind]));

/** Prints a line, without its end. */
export function printLine({ kind, content }: Line): string {
  const { name, form } = FORMS[kind] as { readonly name: string; readonly form: Form<unknown> };
  return JSON.stringify({ [name]: form.print(content) });
}

/** Reads a line. */
export function readLine(line: string): Parsed<Line> {
  try {
    return { ok: true, value: readJson(JSON.parse(line)) };
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, problem: 'not a line of JSON: the file is damaged' };
    if (error instanceof Unreadable) return { ok: false, problem: error.message };
    throw error;
  }
}

function readJson(given: unknown): Line {
  const members = typeof given === 'object' && given !== null ? Object.entries(given) : [];
  const [name = '', content] = members[0] ?? [];
  const kind = members.length === 1 ? KINDS.get(name) : undefined;
  if (kind === undefined) throw new Unreadable([], `expected an object with one of ${[...KINDS.keys()].join(', ')}`);
  if (kind === 'header') refuseNewer(content);
  const { form } = FORMS[kind];
  return { kind, content: within(name, () => form.read(content)) } as Line;
}

/** Before anything else of the line is looked at, which a newer version may have changed. */
function refuseNewer(header: unknown): void {
  const version = (header as { readonly version?: unknown } | null)?.version;
  if (typeof version !== 'number' || version <= VERSION) return;
  const told = `the export was made by a newer leasehold-server (format ${version}, this one knows ${VERSION})`;
  throw new Unreadable([], `${told}: import it with that one`);
}

/** The kind of line of each kind of document. */
export const LINE_KINDS: Readonly<Record<Documents['kind'], Kind>> = {
  networks: 'network',
  hosts: 'host',
  slots: 'slot',
  history: 'ended',
  audit: 'audit',
};

const DOCUMENT_KINDS = new Map(Object.entries(LINE_KINDS).map(([kind, line]) => [line, kind as Documents['kind']]));

/** The kind of document a line is; undefined: it is none. */
export function documentKind({ kind }: Line): Documents['kind'] | undefined {
  return DOCUMENT_KINDS.get(kind);
}
