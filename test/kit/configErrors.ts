/** What an error of the configuration says. */
import type { ConfigError } from "effect/ConfigError"
import { faultsOf } from "../../src/internal/effect/configFaults.js"

/** `path: message` of every fault. */
export const faultsIn = (error: ConfigError): ReadonlyArray<string> =>
  faultsOf(error).map(({ message, path }) => `${path.join(".")}: ${message}`)

/** The message of every fault. */
export const messagesIn = (error: ConfigError): ReadonlyArray<string> => faultsOf(error).map(({ message }) => message)
