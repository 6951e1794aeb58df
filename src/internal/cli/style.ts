/**
 * Colours, where what is written is read on a terminal that has them.
 */
import { inspect } from "node:util"

/** Standard output or standard error, as far as colours are concerned. */
interface Stream {
  readonly isTTY?: boolean
  readonly getColorDepth?: (env?: object) => number
}

const looks = {
  heading: "bold",
  name: "cyan",
  good: "green",
  warning: "yellow",
  error: "red",
  faint: "gray"
} as const

/** What a text is, which decides its colour. */
export type Look = keyof typeof looks

/**
 * Whether a stream has colours. `FORCE_COLOR` wins over `NO_COLOR`, as in Node itself; without either a terminal has them, unless it is a
 * dumb one (`TERM=dumb`), which Node's own table knows.
 */
export const hasColours = (
  stream: Stream,
  env: Readonly<Record<string, string | undefined>> = process.env
): boolean => {
  const forced = env["FORCE_COLOR"]
  if (forced !== undefined) {
    return forced !== "0" && forced !== "false"
  }
  const isRefused = env["NO_COLOR"] !== undefined && env["NO_COLOR"] !== ""
  return !isRefused && stream.isTTY === true && (stream.getColorDepth?.(env) ?? 1) > 1
}

const painted = (stream: Stream, look: Look | undefined, text: string): string => {
  // Node's own table of colours, since `styleText` is there from Node 20.12 on only.
  const codes = look === undefined || text === "" || !hasColours(stream) ? undefined : inspect.colors[looks[look]]
  return codes === undefined ? text : `\u001b[${codes[0]}m${text}\u001b[${codes[1]}m`
}

/** For standard output. */
export const onOutput = (look: Look | undefined, text: string): string => painted(process.stdout, look, text)

/** For standard error. */
export const onError = (look: Look | undefined, text: string): string => painted(process.stderr, look, text)

/** The message of an error: its first line is what is wrong, and one says what to do next. */
export const errorText = (message: string): string =>
  message.split("\n").map((line, i) =>
    i === 0 ? onError("error", line) : line.replace(/^next:/, (word) => onError("heading", word))
  ).join("\n")

/** A warning, with its word in front. */
export const warningText = (message: string): string => `${onError("warning", "warning:")} ${message}`
