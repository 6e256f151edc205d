// What a file of reservations says, whatever its format: entries, and findings about what cannot be taken or kept.

import { type Parsed as ParsedValue, parseIpv4 } from '../../gen/values.js';
import type { Finding } from '../findings.js';

/** One reservation as a file has it. */
export interface Entry {
  /** Where it begins, from 1. */
  readonly line: number;
  readonly mac: string;
  /** Absent: the system chooses. */
  readonly address?: string;
  readonly hostname?: string;
  readonly owner?: string;
  readonly subnetId?: string;
  readonly networkId?: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What was read of a file. */
export interface Parsed {
  readonly entries: readonly Entry[];
  readonly findings: readonly Finding[];
}

/** An IPv4 address; the text is canonical when it is one. */
export function parseAddress(text: string): ParsedValue<string> {
  const parsed = parseIpv4(text);
  return parsed.ok ? { ok: true, value: text } : parsed;
}

/** A problem of one line, for which nothing of the file is imported. */
export function problem(line: number, what: string, next?: string): Finding {
  return { check: 'import', severity: 'problem', about: `line ${line}`, what, next: next ?? 'Correct the line' };
}

/** Something of a line that is left out. */
export function leftOut(line: number, what: string): Finding {
  return { check: 'import-left-out', severity: 'note', about: `line ${line}`, what };
}
