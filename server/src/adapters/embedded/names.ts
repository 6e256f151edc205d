// Texts that stand in millions of rows (subnets, callers) are written once, and rows say which by a number.
//
//   N1. A number is on the disk before, or with, the first row that has it, and never changes its text.

import { idKey } from './keys.js';
import type { Table } from './tables.js';

/** The numbered texts of a store. */
export class Names {
  readonly #table: Table;
  readonly #texts: string[] = [];
  readonly #numbers = new Map<string, number>();

  /** Reads those that are there. */
  constructor(table: Table) {
    this.#table = table;
    for (const { key, value } of table.range(Number.MAX_SAFE_INTEGER)) this.#set(Number(key), value);
  }

  /** The number of a text; a new one is staged. For jobs of the group commit. */
  number(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#texts.length;
    this.#set(number, text);
    this.#table.put(idKey(String(number)), text);
    return number;
  }

  /** The text of a number. */
  text(number: number): string {
    const text = this.#texts[number];
    if (text === undefined) throw new Error(`A row of the store names ${number}, which has no text`);
    return text;
  }

  #set(number: number, text: string): void {
    this.#texts[number] = text;
    this.#numbers.set(text, number);
  }
}
