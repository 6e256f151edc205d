import { BUILTIN } from './guest-backend.js';
import { guestConformance } from './guest-conformance.js';

guestConformance(BUILTIN);
