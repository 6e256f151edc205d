// Seeds in which one kind of misfortune comes again and again (aimed.ts).

import { AIMS, type Aim } from '../aimed.js';
import type { Field } from './listed.js';

const SEEDS = 4;
/** For what must meet more. */
const MORE_SEEDS: Partial<Record<Aim, number>> = { behind: 8, leaving: 6 };

/** By what they are aimed at. */
export const AIMED = Object.fromEntries(AIMS.map((aim) => [aim, fieldOf(aim)])) as Readonly<Record<Aim, Field>>;

function fieldOf(aim: Aim): Field {
  return { from: 1, seeds: MORE_SEEDS[aim] ?? SEEDS, minutes: 5, aim };
}
