// The contract of server/src/ports/store.ts as tests: every check by example, and random commands against a model.

import fc from 'fast-check';
import { describe, test } from 'vitest';
import { STORE_CHECKS, Stage, type StoreFeatures, type StorePlace } from './store-checks.js';
import { StoreModel, storeCommands } from './store-model.js';

/** How much is run. */
export interface ConformanceOptions {
  readonly features: StoreFeatures;
  /** How many random histories: fewer where each takes long. */
  readonly runs: number;
}

/** Runs the contract against stores in places that `place` makes, each new and empty. */
export function storeConformance(
  name: string,
  place: () => Promise<StorePlace>,
  { features, runs }: ConformanceOptions,
): void {
  describe(`${name} conforms to Store`, () => {
    const checks = STORE_CHECKS.filter(({ needs }) => !needs || features[needs]);
    test.each(checks)('$name', async (check) => {
      const here = await place();
      const stage = new Stage(here, await here.open());
      try {
        await check.run(stage);
      } finally {
        await stage.clear();
      }
    });

    test('does what a model in plain maps does, restarts included', async () => {
      await fc.assert(
        fc.asyncProperty(fc.commands(storeCommands, { maxCommands: 60, size: 'max' }), async (commands) => {
          const here = await place();
          const real = { place: here, store: await here.open() };
          try {
            await fc.asyncModelRun(() => ({ model: new StoreModel(), real }), commands);
          } finally {
            await real.store.close();
            await here.remove();
          }
        }),
        { numRuns: runs },
      );
    });
  });
}
