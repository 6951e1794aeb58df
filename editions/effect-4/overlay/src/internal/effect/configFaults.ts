/**
 * What an error of the configuration was made of.
 */
export { type Fault, faultsOf } from "./ConfigError.js"
