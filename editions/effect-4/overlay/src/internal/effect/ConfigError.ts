/**
 * Errors of the configuration, each of which names what is wrong: `Config.ConfigError`, made of faults.
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"

/** An error of the configuration. */
export type ConfigError = Config.ConfigError

type Path = ReadonlyArray<string>

/** One thing that is wrong, and where. */
export interface Fault {
  readonly kind: "Invalid data" | "Missing data" | "Source unavailable"
  readonly path: Path
  readonly message: string
}

/** What an error was made of; one that is not ours is a fault without a path. */
const faults = new WeakMap<ConfigError, ReadonlyArray<Fault>>()

/** All that is wrong. */
export const faultsOf = (error: ConfigError): ReadonlyArray<Fault> =>
  faults.get(error) ?? [{ kind: "Invalid data", path: [], message: error.message }]

const text = ({ kind, message, path }: Fault): string =>
  path.length === 0 ? message : `(${kind} at ${path.join(".")}: "${message}")`

const make = (all: ReadonlyArray<Fault>): ConfigError => {
  const error = new Config.ConfigError(new ConfigProvider.SourceError({ message: all.map(text).join(" and ") }))
  faults.set(error, all)
  return error
}

/** Something was given that cannot be used. */
export const InvalidData = (path: Path, message: string): ConfigError => make([{ kind: "Invalid data", path, message }])

/** Something is needed that was not given. */
export const MissingData = (path: Path, message: string): ConfigError => make([{ kind: "Missing data", path, message }])

/** A source of variables could not be read. */
export const SourceUnavailable = (path: Path, message: string): ConfigError =>
  make([{ kind: "Source unavailable", path, message }])

/** The faults of both. */
export const And = (self: ConfigError, that: ConfigError): ConfigError => make([...faultsOf(self), ...faultsOf(that)])

/** The same faults, one step further in. */
export const prefixed = (prefix: Path) => (error: ConfigError): ConfigError =>
  make(faultsOf(error).map((fault) => ({ ...fault, path: [...prefix, ...fault.path] })))

export const isConfigError = (value: unknown): value is ConfigError => value instanceof Config.ConfigError
