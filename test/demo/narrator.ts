// The voice of the demo: plain sentences, and claims that are checked before they are printed.

import { isDeepStrictEqual } from 'node:util';

/** Something that the demo says is not so. */
export class ClaimError extends Error {
  readonly expected: unknown;
  readonly seen: unknown;

  constructor(sentence: string, expected: unknown, seen: unknown) {
    super(sentence);
    this.expected = expected;
    this.seen = seen;
  }
}

/** Speaks to a person, in colour only on a terminal. */
export class Narrator {
  readonly #colours = process.stdout.isTTY && !process.env['NO_COLOR'];
  #chapters = 0;
  #claims = 0;

  /** How many claims held so far. */
  get claims(): number {
    return this.#claims;
  }

  /** Opens a chapter. */
  chapter(title: string): void {
    this.#print(`\n${this.#styled('1', `${++this.#chapters}. ${title}`)}`);
  }

  /** Tells something, one sentence a line. */
  say(...sentences: readonly string[]): void {
    for (const sentence of sentences) this.#print(`   ${sentence}`);
  }

  /** Tells something that must be so. */
  claim(sentence: string, seen: unknown, expected: unknown): void {
    if (!isDeepStrictEqual(seen, expected)) throw new ClaimError(sentence, expected, seen);
    this.#claims++;
    this.#print(`   ${this.#styled('32', 'ok')} ${sentence}`);
  }

  /** Tells what went wrong. */
  failure(...lines: readonly string[]): void {
    const [first = '', ...rest] = lines;
    this.#print(`\n${this.#styled('31', first)}`);
    for (const line of rest) this.#print(`   ${line}`);
  }

  #styled(code: string, text: string): string {
    return this.#colours ? `\x1b[${code}m${text}\x1b[0m` : text;
  }

  #print(text: string): void {
    process.stdout.write(`${text}\n`);
  }
}
