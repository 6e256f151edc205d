// The product with one mistake in it, switched on by the simulator alone: the text of modules is edited while Node
// loads them. Nothing of it is in the product, and nothing of it is on the disk.
//
//   U1. An edit that fits no place of its module, or two, ends the run: a mutant that does not differ would be
//       "not caught", and one that its source has outgrown must be thought about again.
//   U2. It meets what is loaded after it was switched on: the product must be imported later (`await import`).

import { register } from 'node:module';

/** What is changed in one module. */
export interface Change {
  /** As it is imported: `@leasehold/server/domain/lease`. */
  readonly module: string;
  /** What stands in the built module, and what stands there instead. In JavaScript: without types. */
  readonly edits: readonly (readonly [from: string, to: string])[];
}

/** A mistake. */
export interface Mutant extends Change {
  /** The rule that is broken, as a short name for the command line. */
  readonly name: string;
  /** The mistake, as a sentence of the one who made it. */
  readonly mistake: string;
  /** Where else it is made: a rule that is kept in two places is only broken in both. */
  readonly also?: readonly Change[];
}

/** Makes the mistake in this thread, in every import from now on. */
export function switchOn({ name, module, edits, also = [] }: Mutant): void {
  const changes = [{ module, edits }, ...also].map((change): UrlChange => {
    return { url: import.meta.resolve(change.module), name, edits: change.edits };
  });
  register(new URL('./module-hook.js', import.meta.url), { data: changes });
}

/** What is changed in the module of a URL. */
export interface UrlChange extends Pick<Mutant, 'name' | 'edits'> {
  readonly url: string;
}

/** The text of a module with its mistake. */
export function mutated(source: string, { name, edits }: Pick<Mutant, 'name' | 'edits'>): string {
  return edits.reduce((text, [from, to]) => {
    const places = text.split(from).length - 1;
    if (places !== 1)
      throw new Error(`Mutant ${name}: "${from}" fits ${places} places: write it for the source as it is`);
    return text.replace(from, () => to);
  }, source);
}
