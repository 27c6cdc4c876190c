#!/usr/bin/env bash
# A conversation about derivatives of vectors by matrices: every question, its answer, its proof.
set -euo pipefail

question() { # heading, then the arguments of wrt
  local heading=$1 word shown="wrt"
  shift
  for word in "$@"; do
    if [[ $word == *[^A-Za-z0-9=,._-]* ]]; then shown+=" \"$word\""; else shown+=" $word"; fi
  done
  printf '\n— %s\n\n$ %s\n' "$heading" "$shown"
  wrt "$@"
}

echo "What is the derivative of a vector by a matrix?"

question "A linear layer by its weights: three axes, mostly zeros." \
  "W*x" W --shape W=2,4
question "A step of a recurrent network, by its weights," \
  "tanh(W*s + U*x + b)" W
question "by the state before it," \
  "tanh(W*s + U*x + b)" s
question "and by its bias." \
  "tanh(W*s + U*x + b)" b
question "A product of three: a 2 × (3 × 4) tensor." \
  "A*X*b" X --shape A=2,3 --shape X=3,4
question "The weights are the same at every step: do they depend on the state?" \
  "W" s
question "A matrix by a vector." \
  "x*x'" x
question "The inputs are constants." \
  "x" W
question "How the step changes when W moves along a given matrix V," \
  "tanh(W*s + U*x + b)" W --direction V
question "with numbers in it." \
  "W*s" W --direction V --at "W=[[1,2,3],[4,5,6]]" --at "s=[1,1,2]" --at "V=[[0,0,1],[0,1,0]]"
question "One entry: s_2 by W_13." \
  "tanh(W*s + U*x + b)" W --entry 2,1,3
question "And one that is not zero: s_2 by W_23." \
  "tanh(W*s + U*x + b)" W --entry 2,2,3
