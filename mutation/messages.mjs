/**
 * What is not mutated: the words of messages. They have tests of their own (test/error/message.test.ts, test/documents.test.ts),
 * and a message without a word is no other behaviour. A text is a message where two words of small letters stand side by side;
 * codes, states, reasons and statements are none.
 */
import { declareValuePlugin, PluginKind } from "@stryker-mutator/api/plugin"

const isProse = (text) => /[a-z]+[,:;]? [a-z]+/.test(text)

const textOf = (node) =>
  node.type === "StringLiteral"
    ? node.value
    : node.type === "TemplateLiteral"
    ? node.quasis.map(({ value }) => value.raw).join("…")
    : ""

export const strykerPlugins = [
  declareValuePlugin(PluginKind.Ignore, "messages", {
    shouldIgnore: ({ node }) => isProse(textOf(node)) ? "the words of a message" : undefined
  })
]
