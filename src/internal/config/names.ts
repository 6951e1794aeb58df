/**
 * The databases that variables configure.
 */
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import { processVariables, surroundings, variables } from "./process.js"
import { settings } from "./settings.js"
import { present } from "./typos.js"
import type { Environment } from "./values.js"
import { environments } from "./variables.js"

/** The variables that make a database: those that say where it is or of which family. */
const making = [
  ...settings.url.suffixes.flatMap((suffix) => [suffix, `${suffix}_FILE`]),
  ...settings.type.suffixes
].join("|")

const ofEnvironment = new RegExp(`^([A-Z]+)_GLOBAL_(.+)_(?:${making})$`)
const ofName = new RegExp(`^(?:(.+)_)?DATABASE_(?:${making})$`)

/** The database that a variable makes in an environment, in small letters. */
const nameOf = (variable: string, environment: Environment): string | undefined => {
  const special = ofEnvironment.exec(variable)
  if (special !== null && environments.some((known) => known.toUpperCase() === special[1])) {
    return special[1] === environment.toUpperCase() ? special[2]!.toLowerCase() : undefined
  }
  const match = ofName.exec(variable)
  return match === null ? undefined : (match[1] ?? "default").toLowerCase()
}

/**
 * The names of all databases that the current provider's variables configure, the default one first. That one needs no
 * variable, except in production.
 */
export const configured: Effect.Effect<ReadonlyArray<string>, ConfigError.ConfigError> = Effect.gen(function*() {
  const { environment } = yield* surroundings(undefined, yield* variables(processVariables))
  const names = new Set<string>()
  for (const variable of yield* present(() => true)) {
    const name = nameOf(variable, environment)
    if (name !== undefined) {
      names.add(name)
    }
  }
  const hasDefault = names.delete("default") || environment !== "production"
  return [...hasDefault ? ["default"] : [], ...[...names].sort()]
})
