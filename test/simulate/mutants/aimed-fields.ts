// Seeds in which one kind of misfortune comes again and again (aimed.ts).

import { AIMS, type Aim } from '../aimed.js';
import type { Field } from './listed.js';

/** By what they are aimed at. */
export const AIMED = Object.fromEntries(
  AIMS.map((aim) => [aim, { from: 1, seeds: 4, minutes: 5, aim } satisfies Field]),
) as Readonly<Record<Aim, Field>>;
