import { defineConfig } from 'vitest/config';

// `source`: tests and the code under test use the workspaces' sources, without a build.
const conditions = ['source'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // A bound for what hangs, not for what is slow: property tests on a busy machine pass the default of 5 s.
          testTimeout: 60_000,
          include: [
            '{proto,program,server,agent,sdk}/src/**/*.test.ts',
            'test/{architecture,conformance,simulate,simulation,support,fakes}/**/*.test.ts',
          ],
        },
      },
      {
        // Real processes, namespaces and DHCP clients: needs `npm run build` and the sandbox of test/support.
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
