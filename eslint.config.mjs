import effect from "@effect/eslint-plugin"
import { readFileSync } from "node:fs"
import tseslint from "typescript-eslint"

const typescript = ["**/*.ts"]

/** Errors are made in few modules: their text has one form, and is not edited. */
const makers = {
  selector: "NewExpression[callee.name=/^(ConnectionError|QueryError|TimeoutError)$/]",
  message:
    "Make it in internal/error/engine.ts, in a driver by failure() of internal/driver/failure.ts, and again by withFields()."
}

/** Words for persons, where a connection, a fiber or a client is meant. */
const persons = JSON.parse(readFileSync(new URL("scripts/persons.json", import.meta.url), "utf8"))

/** `private` is the one word for it: `#` only where a secret would show otherwise, with that reason. */
const hashes = {
  selector: ":matches(PropertyDefinition, MethodDefinition) > PrivateIdentifier.key",
  message: "Write private; # only for what inspect must not show."
}

/** Names that were given up for the field's own: docs/glossary.md. */
const retired = [
  ["[sS]lots?", "entry"],
  ["[fF]rames?", "level"],
  ["[aA]larm", "timer"],
  ["[gG]round", "engine"],
  ["[jJ]ob", "request, exchange"],
  ["Work", "Request"],
  ["[cC]laim", "AcquireRequest"],
  ["[gG]oodbyes?", "ClosingConnections"],
  ["Idleness", "Eviction"],
  ["Breath|breathing", "yieldToEventLoop"],
  ["Boundary", "TransactionEnd"],
  ["Handling", "ConnectionFactory"],
  ["lent|lentAt|lend", "inUse, acquire"],
  ["giveBack", "recycle"],
  ["ring", "expire"],
  ["Opener", "Connector"],
  ["Refusal", "errors"]
].map(([name, take]) => ({
  selector: `Identifier[name=/^(${name})$/]`,
  message: `Retired name: ${take}.`
}))

/** How the name of a boolean begins: with what is, or with a verb for what something does. */
const predicate =
  "^_?(?:is|has|had|can|should|may|must|are|was|does|did|needs|takes|holds|gives|reads|writes|begins|carries|follows|waits|hears|knows" +
  "|commits|controls|dirties|forgets|goes|runs|quotes|closes|pads|answers|assigns|changes|checks|clashes|counts|creates|doubles|encrypts" +
  "|ends|escapes|fails|flows|inherits|interleaves|keeps|limits|makes|nests|plucks|prepares|releases|remembers|resets|reshapes|returns?" +
  "|rolls|transforms?|settles|uses|allows|restores|wants)(?:[A-Z]|$)"

export default [
  {
    ignores: [
      "dist/",
      "editions/effect-4/dist/",
      "editions/effect-4/overlay/",
      "coverage/",
      "docs/",
      "benchmark/",
      "mutation/.stryker-tmp/",
      "**/node_modules/"
    ]
  },
  ...tseslint.configs.recommended.map((config) => ({ ...config, files: typescript })),
  ...effect.configs.dprint,
  {
    files: [...typescript, "**/*.mjs"],
    rules: {
      // The formatting of Effect's own sources.
      "@effect/dprint": ["error", {
        config: {
          indentWidth: 2,
          lineWidth: 120,
          operatorPosition: "maintain",
          semiColons: "asi",
          quoteStyle: "alwaysDouble",
          trailingCommas: "never",
          "arrowFunction.useParentheses": "force"
        }
      }],
      "object-shorthand": "error",
      "prefer-const": "error",
      eqeqeq: "error",
      "no-console": "off"
    }
  },
  {
    files: typescript,
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "separate-type-imports" }],
      // An import of types alone must vanish: it would load a driver that may not be installed.
      "@typescript-eslint/no-import-type-side-effects": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: false }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/array-type": ["error", { default: "generic", readonly: "generic" }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // What Effect code is made of.
      "@typescript-eslint/no-empty-object-type": "off",
      "@typescript-eslint/no-namespace": "off",
      "@typescript-eslint/no-empty-interface": "off",
      "require-yield": "off"
    }
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "no-console": "error",
      "no-restricted-imports": ["error", {
        paths: [{ name: "effect", message: "Import the module: import * as Effect from \"effect/Effect\"." }]
      }]
    }
  },
  {
    // Comments name the fiber, the client, the session: no persons. test/documents.test.ts holds the documents to it.
    files: ["src/**/*.ts", "examples/**/*.ts"],
    rules: {
      "no-warning-comments": ["error", { terms: persons, location: "anywhere" }]
    }
  },
  {
    files: ["src/**/*.ts"],
    rules: { "no-restricted-syntax": ["error", hashes, ...retired] }
  },
  {
    files: ["src/**/*.ts"],
    ignores: ["src/DbError.ts", "src/internal/error/*.ts", "src/internal/driver/failure.ts"],
    rules: { "no-restricted-syntax": ["error", hashes, makers, ...retired] }
  },
  {
    // What is right beyond a limit says why, where it is disabled.
    files: ["src/**/*.ts"],
    rules: {
      "max-lines": ["error", 450],
      "max-lines-per-function": ["error", 80],
      complexity: ["error", 25],
      "@typescript-eslint/max-params": ["error", { max: 5 }]
    }
  },
  {
    // A body on a line of its own has braces; a chain of if and else has them everywhere or nowhere.
    files: ["src/**/*.ts"],
    rules: { curly: ["error", "multi-line", "consistent"] }
  },
  {
    // A boolean says what is or is not so. Names of contracts and of options are those that others read.
    files: ["src/**/*.ts"],
    ignores: ["src/internal/http/page/browser/**"],
    rules: {
      "@typescript-eslint/naming-convention": ["error", {
        selector: ["variable", "parameter"],
        types: ["boolean"],
        format: null,
        // Options, taken out of their object under the names that programs write.
        filter: {
          regex:
            "^(?:connectOnStart|createDatabase|deferrable|fileMustExist|foreignKeys|pragmaWrites|prepare|readOnly|resolveCommit|safeIntegers|_reject)$",
          match: false
        },
        custom: { regex: predicate, match: true }
      }, {
        selector: ["classProperty", "parameterProperty", "accessor"],
        modifiers: ["private"],
        types: ["boolean"],
        format: null,
        custom: { regex: predicate, match: true }
      }]
    }
  },
  {
    files: ["src/internal/cli/**/*.ts"],
    rules: { "no-console": "off" }
  },
  {
    files: ["test/**/*.ts", "examples/**/*.ts"],
    rules: {
      // Rows of a driver asked directly, and faults on purpose.
      "@typescript-eslint/no-explicit-any": "off"
    }
  }
]
