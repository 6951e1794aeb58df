/**
 * `.env` files as a source of variables.
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import type * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "node:path"
import { hiding, orElse } from "../effect/configProvider.js"
import { load } from "../effect/dotenv.js"
import { processVariables, surroundings, variables } from "./process.js"
import { rows, settings } from "./settings.js"

const urls = settings.url.suffixes.flatMap((suffix) => [suffix, `${suffix}_FILE`])

const parts = rows.filter((row) => row.address && row !== settings.url)
  .flatMap((row) => row.suffixes.flatMap((suffix) => row.file ? [`${suffix}_FILE`, suffix] : [suffix]))

/** The variables that would make a part of a file's address meaningless: `DATABASE_URL` for `DATABASE_HOST`. */
const wholes = (variable: string): ReadonlyArray<string> => {
  const part = parts.find((part) => variable.endsWith(`_${part}`))
  return part === undefined ? [] : urls.map((url) => `${variable.slice(0, -part.length)}${url}`)
}

/**
 * What `above` does not say, `file` says. An address is not mixed from both: where `above` has the URL, the file's
 * host, user or password must not change a part of it.
 */
const below = (
  above: ConfigProvider.ConfigProvider,
  file: ConfigProvider.ConfigProvider
): ConfigProvider.ConfigProvider =>
  orElse(
    above,
    hiding(
      file,
      (name) =>
        Effect.map(
          above.load(Config.all(wholes(name).map((whole) => Config.option(Config.string(whole))))),
          (found) => found.some((value) => Option.isSome(value) && value.value !== "")
        ),
      "the URL is given elsewhere"
    )
  )

/** The files of a folder, the one that wins first, and the provider above them. */
const sources = (folder: string) =>
  Effect.configProviderWith((current) =>
    Effect.gen(function*() {
      const general = yield* load(Path.join(folder, ".env"))
      const withGeneral = Option.match(general, { onNone: () => current, onSome: (file) => below(current, file) })
      // `.env` may say which environment it is.
      const around = surroundings(undefined, yield* withGeneral.load(variables(processVariables)))
      const { environment } = yield* Either.match(around, { onLeft: Effect.fail, onRight: Effect.succeed })
      const special = yield* load(Path.join(folder, `.env.${environment}`))
      return {
        current,
        files: [{ name: `.env.${environment}`, provider: special }, { name: ".env", provider: general }].flatMap(
          ({ name, provider }) => Option.isSome(provider) ? [{ name, provider: provider.value }] : []
        )
      }
    })
  )

/** Adds `.env` and `.env.{environment}` of a folder below the current provider. */
export const dotenv = (folder: string): Layer.Layer<never, ConfigError.ConfigError> =>
  Layer.unwrapEffect(
    Effect.map(sources(folder), ({ current, files }) =>
      Layer.setConfigProvider(files.reduce((above, { provider }) =>
        below(above, provider), current)))
  )

/** The name of the file of a folder that a variable comes from; `undefined` where the current provider has it. */
export const fileOf = (
  folder: string,
  variable: string
): Effect.Effect<string | undefined, ConfigError.ConfigError> => {
  const has = (provider: ConfigProvider.ConfigProvider) =>
    Effect.map(
      provider.load(Config.option(Config.string(variable))),
      (value) => Option.isSome(value) && value.value !== ""
    )
  return Effect.flatMap(sources(folder), ({ current, files }) =>
    Effect.flatMap(has(current), (isAbove) =>
      isAbove
        ? Effect.succeed(undefined)
        : Effect.map(
          Effect.findFirst(files, ({ provider }) => has(provider)),
          (found) => Option.getOrUndefined(found)?.name
        )))
}
