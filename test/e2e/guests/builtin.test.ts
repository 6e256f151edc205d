import { backendConformance } from './backend-conformance.js';

backendConformance('builtin', true);
