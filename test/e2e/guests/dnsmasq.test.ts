import { describe } from 'vitest';
import { hasTool } from '../../support/tools.js';
import { DNSMASQ } from './guest-backend.js';
import { guestConformance } from './guest-conformance.js';

describe.skipIf(!(await hasTool('dnsmasq')))('with dnsmasq', () => {
  guestConformance(DNSMASQ);
});
