/**
 * What an error of the configuration was made of.
 */
import type { ConfigError } from "effect/ConfigError"

/** One thing that is wrong, and where. */
export interface Fault {
  readonly path: ReadonlyArray<string>
  readonly message: string
}

/** All that is wrong. */
export const faultsOf = (error: ConfigError): ReadonlyArray<Fault> =>
  error._op === "And" || error._op === "Or"
    ? [...faultsOf(error.left), ...faultsOf(error.right)]
    : [{ path: error.path, message: error.message }]
