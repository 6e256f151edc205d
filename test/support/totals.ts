// How many tests passed: from vitest's JSON report to one line.

/** Counts of a run. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The part of vitest's JSON report that is read. */
export interface Report {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/** Counts a report. A file that failed without a failed test, because it did not even load, counts as one failure. */
export function totalsOf(report: Report): Totals {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const file of report.testResults) {
    const states = file.assertionResults.map((test) => test.status);
    const failures = states.filter((state) => state === 'failed').length;
    passed += states.filter((state) => state === 'passed').length;
    failed += file.status === 'failed' ? Math.max(1, failures) : failures;
    skipped += states.filter((state) => state !== 'passed' && state !== 'failed').length;
  }
  return { passed, failed, skipped };
}

/** Of several runs. */
export function totalOf(totals: readonly Totals[]): Totals {
  const sum = (of: keyof Totals) => totals.reduce((total, each) => total + each[of], 0);
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') };
}

/** `12 passed, 0 failed`, and how many were skipped if any. */
export function formatTotals({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}
