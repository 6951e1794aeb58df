/**
 * Reading a `.env` file.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Fs from "node:fs/promises"
import * as ConfigError from "./ConfigError.js"

/** The variables of a file. One that is not there has nothing to say. */
export const load = (
  path: string
): Effect.Effect<Option.Option<ConfigProvider.ConfigProvider>, ConfigError.ConfigError> =>
  Effect.tryPromise({
    try: (signal) => Fs.readFile(path, { encoding: "utf8", signal }),
    // Node's own errors have a code.
    catch: (cause) => (cause as NodeJS.ErrnoException).code ?? "unknown reason"
  }).pipe(
    Effect.map((text) => Option.some(ConfigProvider.fromDotEnvContents(text))),
    Effect.catch((code) =>
      code === "ENOENT"
        ? Effect.succeedNone
        : Effect.fail(ConfigError.SourceUnavailable([path], `the file cannot be read (${code})`))
    )
  )
