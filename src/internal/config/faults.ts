/**
 * How faults of the configuration are told.
 */
import * as ConfigError from "effect/ConfigError"
import type { Row } from "./row.js"
import { ownPrefix } from "./variables.js"

/** What is told of an option. */
export interface Tell {
  (option: string, message: string): void
}

/** What an option or variable held, as far as it may be shown: a text with an `@` may be a URL with its password. */
export const shown = (value: unknown): string =>
  typeof value === "string"
    ? value.includes("@") || value.length > 60 ? `a text of ${value.length} characters` : JSON.stringify(value)
    : typeof value === "object" && value !== null || typeof value === "function"
    ? `a value of type ${typeof value}`
    : String(value)

/** The variable of an option that was given in code, to name it beside the option. */
export const variableOf = (name: string, row: Row<unknown>): string => `${ownPrefix(name)}${row.suffixes[0]}`

/** An example of a setting of the database. */
export const exampleOf = (name: string, row: Row<unknown>): string => `${variableOf(name, row)}=${row.example}`

/** What is wrong with the value of a setting; `variable` is named in the example, where the setting has one. */
export const unusable = (row: Row<unknown>, value: unknown, variable: string): string =>
  `${row.secret ? "has a value that cannot be used" : `holds ${shown(value)}`}; accepted: ${row.kind.accepted}` +
  (row.suffixes.length === 0 ? "" : `; example: ${variable}=${row.example}`)

/** A fault of one option or variable. */
export const fault = (path: string, message: string): ConfigError.ConfigError =>
  ConfigError.InvalidData([path], message)

/** All faults as one error. */
export const all = (
  [first, ...others]: readonly [ConfigError.ConfigError, ...Array<ConfigError.ConfigError>]
): ConfigError.ConfigError => others.reduce(ConfigError.And, first)
