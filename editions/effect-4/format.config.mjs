/**
 * The formatter of the main line alone, for the translated sources.
 */
import effect from "@effect/eslint-plugin"
import tseslint from "typescript-eslint"

export default [
  ...effect.configs.dprint,
  {
    files: ["dist/src/**/*.ts", "dist/examples/**/*.ts"],
    languageOptions: { parser: tseslint.parser },
    linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: "off" },
    rules: {
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
      }]
    }
  },
  // The second stands as a command has written it, which a test compares.
  { ignores: ["dist/dist/", "dist/examples/checked-sql/queries.ts"] }
]
