/**
 * Reading a `.env` file.
 */
import * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as PlatformConfigProvider from "@effect/platform/PlatformConfigProvider"
import * as Cause from "effect/Cause"
import * as ConfigError from "effect/ConfigError"
import type * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Fs from "node:fs/promises"

/** The one thing that reading a `.env` file asks of a file system, so that no whole one has to be provided. */
const files = FileSystem.layerNoop({
  readFileString: (path) =>
    Effect.tryPromise({
      try: (signal) => Fs.readFile(path, { encoding: "utf8", signal }),
      catch: (cause) => {
        const code = (cause as NodeJS.ErrnoException).code
        return new PlatformError.SystemError({
          module: "FileSystem",
          method: "readFileString",
          reason: code === "ENOENT" ? "NotFound" : code === "EACCES" ? "PermissionDenied" : "Unknown",
          pathOrDescriptor: path,
          description: code ?? "unknown reason"
        })
      }
    })
})

/** The variables of a file. One that is not there has nothing to say. */
export const load = (
  path: string
): Effect.Effect<Option.Option<ConfigProvider.ConfigProvider>, ConfigError.ConfigError> =>
  PlatformConfigProvider.fromDotEnv(path).pipe(
    Effect.asSome,
    Effect.catchAll((error) =>
      error._tag === "SystemError" && error.reason === "NotFound"
        ? Effect.succeedNone
        : Effect.fail(
          ConfigError.SourceUnavailable([path], `the file cannot be read (${error.description})`, Cause.empty)
        )
    ),
    Effect.provide(files)
  )
