// The API's promises as tests: every check by each way to carry calls, on one server that all of them share.

import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Api, ApiFeatures, ApiPlace, Driver } from './api.js';
import { HOST_CHECKS } from './host-checks.js';
import { RAW_DRIVER } from './raw-driver.js';
import { RELEASE_CHECKS } from './release-checks.js';
import { RESERVE_CHECKS } from './reserve-checks.js';
import { SDK_DRIVER } from './sdk-driver.js';
import { SETTINGS_CHECKS } from './settings-checks.js';
import { ApiStage } from './stage.js';
import { WATCH_CHECKS } from './watch-checks.js';

const CHECKS = [...SETTINGS_CHECKS, ...RESERVE_CHECKS, ...RELEASE_CHECKS, ...WATCH_CHECKS, ...HOST_CHECKS];
const DRIVERS: readonly Driver[] = [RAW_DRIVER, SDK_DRIVER];

/** Runs the checks against the server of a place. */
export function apiConformance(name: string, start: () => Promise<ApiPlace>, features: ApiFeatures): void {
  describe(`${name} conforms to the API`, () => {
    let place: ApiPlace;
    beforeAll(async () => {
      place = await start();
    });
    afterAll(() => place?.remove());

    for (const driver of DRIVERS) {
      describe(`by ${driver.name}`, () => {
        let api: Api;
        beforeAll(() => {
          api = driver.connect(place.address);
        });
        afterAll(() => api?.close());

        const checks = CHECKS.filter(({ needs }) => !needs || features[needs]);
        test.each(checks.map((check) => [check.name, check] as const))('%s', (_, check) =>
          check.run(new ApiStage(api, place)),
        );
      });
    }
  });
}
