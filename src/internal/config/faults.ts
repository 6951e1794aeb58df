/**
 * How faults of the configuration are told.
 *
 * @since 0.1.0
 */
import * as ConfigError from "effect/ConfigError"
import type { Row } from "./settings.js"

/** What an option or variable held, as far as it may be shown: a text with an `@` may be a URL with its password. */
export const shown = (value: unknown): string =>
  typeof value === "string"
    ? value.includes("@") || value.length > 60 ? `a text of ${value.length} characters` : JSON.stringify(value)
    : typeof value === "object" && value !== null || typeof value === "function"
    ? `a value of type ${typeof value}`
    : String(value)

/** What is wrong with the value of a setting; `variable` is named in the example. */
export const unusable = (row: Row<unknown>, value: unknown, variable: string): string =>
  `${row.secret ? "has a value that cannot be used" : `holds ${shown(value)}`}; accepted: ${row.kind.accepted}; ` +
  `example: ${variable}=${row.example}`

/** A fault of one option or variable. */
export const fault = (path: string, message: string): ConfigError.ConfigError =>
  ConfigError.InvalidData([path], message)

/** All faults as one error. */
export const all = (
  [first, ...others]: readonly [ConfigError.ConfigError, ...Array<ConfigError.ConfigError>]
): ConfigError.ConfigError => others.reduce(ConfigError.And, first)
