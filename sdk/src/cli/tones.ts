// What a word says of its thing, and the colours that stand for it on a terminal.

/** How something is: well, to be looked at, broken. */
export type Tone = 'good' | 'warn' | 'bad';

/** A text with its tone; without one it has no colour. */
export interface Toned {
  readonly text: string;
  readonly tone: Tone | undefined;
}

const TONES: Readonly<Record<string, Tone>> = {
  up: 'good',
  suspect: 'warn',
  down: 'bad',
  reserved: 'good',
  quarantined: 'warn',
  serving: 'good',
  assigned: 'warn',
  withdrawing: 'warn',
  former: 'warn',
  closed: 'good',
  'half-open': 'warn',
  open: 'bad',
  enabled: 'good',
  disabled: 'warn',
};

/** A word for a state, in the tone that belongs to it. */
export function state(word: string): Toned {
  return { text: word, tone: TONES[word] };
}

/** A text in a tone. */
export function toned(text: string, tone: Tone | undefined): Toned {
  return { text, tone };
}

// The terminal's own eight colours: what it shows for them suits its background.
const SGR: Readonly<Record<Tone | 'title', number>> = { good: 32, warn: 33, bad: 31, title: 1 };

/** Puts the colour of a tone around a text. */
export function paint(text: string, tone: Tone | 'title' | undefined): string {
  return tone === undefined || text === '' ? text : `\u001b[${SGR[tone]}m${text}\u001b[0m`;
}

/** What decides about colours. */
export interface ColourFacts {
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Whether to use colours: on a terminal that has them, unless NO_COLOR (no-color.org) is set. */
export function wantsColours({ isTerminal, env }: ColourFacts): boolean {
  return isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}
