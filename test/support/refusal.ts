// Refused calls as values, to look at every side of one refusal.

import { LeaseholdError } from '@leasehold/sdk';

/** How a call was refused; throws when it was not. */
export async function refusalOf(call: Promise<unknown>): Promise<LeaseholdError> {
  const outcome = await call.catch((error: unknown) => error);
  if (outcome instanceof LeaseholdError) return outcome;
  throw new Error('The call was not refused', { cause: outcome });
}
