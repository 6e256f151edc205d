// Findings: what a check of many things says, gathered and printed. What is the same of many is said once.

import { type Output, printable, type Rows } from './output.js';
import { type Tone, type Toned, toned } from './tones.js';
import type { Json } from './yaml.js';

/** How bad a finding is: as it should be, worth knowing, worth a look, broken. */
export type Severity = 'ok' | 'note' | 'warning' | 'problem';

/** Something that was found. */
export interface Finding {
  /** What was looked at, for programs: `host-down`. Stable. */
  readonly check: string;
  readonly severity: Severity;
  /** What it is about, `host h1`, `line 7`. */
  readonly about: string;
  /** For people, no full stop; the same words for all that it holds for. */
  readonly what: string;
  /** What to do about it. Absent: nothing. */
  readonly next?: string;
}

/** A finding about one thing or more. */
interface Gathered extends Omit<Finding, 'about'> {
  readonly about: readonly string[];
}

const ORDER: readonly Severity[] = ['problem', 'warning', 'note', 'ok'];
const TONES: Readonly<Record<Severity, Tone | undefined>> = {
  problem: 'bad',
  warning: 'warn',
  note: undefined,
  ok: 'good',
};

// More of them help nobody; as JSON all are there.
const SHOWN = 5;

/** The worst severity of some findings. */
export function worst(findings: readonly Finding[]): Severity {
  return ORDER.find((severity) => findings.some((finding) => finding.severity === severity)) ?? 'ok';
}

/** Findings as a table with a verdict under it, worst first; `code` is the exit code, `facts` stand beside them in JSON. */
export function report(
  findings: readonly Finding[],
  verdict: string,
  code: number,
  facts: Readonly<Record<string, Json>> = {},
): Output {
  const gathered = gather(findings);
  const severity = worst(findings);
  return {
    kind: 'report',
    rows: gathered.flatMap(rowsOf),
    verdict: toned(verdict, TONES[severity]),
    json: {
      verdict: severity,
      ...facts,
      findings: gathered.map(({ next, ...same }) => ({ ...same, next: next ?? '' })),
    },
    code,
  };
}

/** Those that say the same in one, worst first, otherwise in their order. Pure. */
export function gather(findings: readonly Finding[]): readonly Gathered[] {
  const found = new Map<string, { readonly first: Finding; readonly about: string[] }>();
  for (const finding of findings) {
    const { check, severity, what, next } = finding;
    const key = JSON.stringify([check, severity, what, next]);
    const same = found.get(key);
    if (same) same.about.push(finding.about);
    else found.set(key, { first: finding, about: [finding.about] });
  }
  const gathered = Array.from(found.values(), ({ first, about }) => ({ ...first, about }));
  return gathered.toSorted((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
}

function rowsOf({ severity, about, what, next }: Gathered): Rows {
  const plain = (text: string): Toned => toned(printable(text), undefined);
  const names = about.length > SHOWN ? [...about.slice(0, SHOWN), `and ${about.length - SHOWN} more`] : about;
  // One name a row: a long list beside the words would push them off the screen.
  const [first = '', ...others] = names;
  const more = next === undefined ? [] : [`→ ${next}`];
  const height = Math.max(others.length, more.length);
  return [
    [toned(severity, TONES[severity]), plain(first), plain(what)],
    ...Array.from({ length: height }, (_, row) => [plain(''), plain(others[row] ?? ''), plain(more[row] ?? '')]),
  ];
}
