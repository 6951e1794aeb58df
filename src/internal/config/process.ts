/**
 * What is asked of the process: its environment, and variables.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { shown } from "./faults.js"
import { environments } from "./kinds.js"
import type { Environment } from "./values.js"

/** What kind of process this is. */
export interface Surroundings {
  readonly environment: Environment
  /** The variable that says which environment it is; `undefined` where none does. */
  readonly variable?: string | undefined
  /** The id of the test worker, where the process is one. */
  readonly worker: string | undefined
}

/** The variables that tell about the process rather than a database. */
export const processVariables = ["APP_ENV", "NODE_ENV", "DBLIVE_WORKER", "VITEST_POOL_ID", "VITEST_WORKER_ID"] as const

/**
 * The environment and the test worker. What the provider does not know, the process does: a test that sets a provider
 * of its own still runs in a test worker.
 */
export const surroundings = (
  given: unknown,
  variables: Readonly<Record<string, Option.Option<string>>>
): Either.Either<Surroundings, ConfigError.ConfigError> => {
  const find = (names: ReadonlyArray<string>) => {
    for (const name of names) {
      const value = Option.getOrUndefined(variables[name] ?? Option.none()) ?? process.env[name]
      if (value !== undefined && value !== "") {
        return { name, value }
      }
    }
    return undefined
  }
  const variable = given === undefined ? find(["APP_ENV", "NODE_ENV"]) : { name: "environment", value: given }
  const environment = variable === undefined ? "development" : environments.fromOption(variable.value)
  return environment === undefined
    ? Either.left(ConfigError.InvalidData(
      [variable!.name],
      `holds ${shown(variable!.value)}; accepted: ${environments.accepted}; example: APP_ENV=production`
    ))
    : Either.right({
      environment,
      variable: given === undefined ? variable?.name : undefined,
      worker: find(["DBLIVE_WORKER", "VITEST_POOL_ID", "VITEST_WORKER_ID"])?.value
    })
}

type Variable = readonly [name: string, value: Option.Option<string>]

/** By halves: there are hundreds, and `Config.all` copies for each what it has found so far. */
const entries = (names: ReadonlyArray<string>): Config.Config<ReadonlyArray<Variable>> =>
  names.length <= 1
    ? Config.all(
      names.map((name) => Config.map(Config.option(Config.string(name)), (value): Variable => [name, value]))
    )
    : Config.zipWith(
      entries(names.slice(0, names.length >> 1)),
      entries(names.slice(names.length >> 1)),
      (some, others) => [...some, ...others]
    )

/** Reads variables, each of which may be missing. */
export const variables = (
  names: ReadonlyArray<string>
): Config.Config<Readonly<Record<string, Option.Option<string>>>> => Config.map(entries(names), Object.fromEntries)
