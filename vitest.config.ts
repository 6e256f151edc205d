import { defineConfig } from 'vitest/config';

// A condition of this repository alone: tests and the code under test use the workspaces' sources, without a build.
const conditions = ['@leasehold/source'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    // Of the tests of one file that may run side by side.
    maxConcurrency: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // Every processor: Vitest leaves one idle for itself, which does next to nothing meanwhile.
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
          // A bound for what hangs, not for what is slow: these run with what end-to-end tests leave of the processors.
          testTimeout: 300_000,
          hookTimeout: 60_000,
          include: [
            '{proto,program,server,agent,sdk,fake}/src/**/*.test.ts',
            'test/{architecture,conformance,simulation,simulate,support,fakes}/**/*.test.ts',
          ],
        },
      },
      {
        // Real processes, namespaces and DHCP clients: needs `npm run build` and the sandbox of test/support.
        extends: true,
        test: {
          name: 'e2e',
          sequence: { groupOrder: 1 },
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
