/** `rendered(value)`: a value as logs, consoles and JSON render it, each way under the other as one text. */
import { inspect } from "node:util"

export const rendered = (value: unknown): string => {
  const texts = [
    inspect(value, { depth: Infinity, showHidden: true, getters: true }),
    inspect(value),
    String(value),
    `${value as string}`,
    JSON.stringify(value) ?? ""
  ]
  if (value instanceof Error) {
    texts.push(value.message, value.stack ?? "")
  }
  if (typeof value === "object" && value !== null) {
    texts.push(...Object.values(value).map((part) => inspect(part, { depth: Infinity })))
  }
  return texts.join("\n")
}
