// Bodies of vector functions, by LLVM's builder.
// SPDX-License-Identifier: Apache-2.0
#include "targets/host/inline_maths.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <vector>

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/Module.h"
#include "targets/host/inline_maths_tables.h"

namespace rbc::host {
namespace {

constexpr unsigned kLanes = 8;
// Calls whose instructions alternate. One alone waits for itself most of the time; more need more registers than
// there are.
constexpr size_t kTogether = 2;

constexpr double kLog2E = 0x1.71547652b82fep+0;
constexpr double kLn2 = 0x1.62e42fefa39efp-1, kLn2Rest = 0x1.abc9e3b39803fp-56;
constexpr double kLn2High = 0x1.62e42feep-1, kLn2Low = 0x1.a39ef35793c76p-33;  // times an exponent the first is exact
constexpr double kToInteger = 0x1.8p52;  // added, it leaves a number rounded in the lowest bits

// The same value of each of the calls that go together.
using Values = std::vector<llvm::Value*>;

// Arithmetic on all of them, one after the other.
class Maths {
 public:
  explicit Maths(llvm::Instruction* at)
      : builder_(at), vector_(llvm::FixedVectorType::get(builder_.getDoubleTy(), kLanes)) {}

  llvm::Value* Constant(double value) { return llvm::ConstantFP::get(vector_, value); }

  Values Add(const Values& a, const Values& b) {
    return Each([&](size_t i) { return builder_.CreateFAdd(a[i], b[i]); }, a.size());
  }
  Values Sub(const Values& a, const Values& b) {
    return Each([&](size_t i) { return builder_.CreateFSub(a[i], b[i]); }, a.size());
  }
  Values Mul(const Values& a, const Values& b) {
    return Each([&](size_t i) { return builder_.CreateFMul(a[i], b[i]); }, a.size());
  }
  Values Div(const Values& a, const Values& b) {
    return Each([&](size_t i) { return builder_.CreateFDiv(a[i], b[i]); }, a.size());
  }
  Values Negative(const Values& a) {
    return Each([&](size_t i) { return builder_.CreateFNeg(a[i]); }, a.size());
  }
  // a * b + c, rounded once.
  Values MulAdd(const Values& a, const Values& b, const Values& c) {
    return Each(
        [&](size_t i) {
          return builder_.CreateIntrinsic(llvm::Intrinsic::fma, {vector_}, {a[i], b[i], c[i]});
        },
        a.size());
  }
  Values All(double value, size_t count) { return Values(count, Constant(value)); }
  Values Round(const Values& a) {
    return Each([&](size_t i) { return builder_.CreateUnaryIntrinsic(llvm::Intrinsic::roundeven, a[i]); }, a.size());
  }
  Values Magnitude(const Values& a) {
    return Each([&](size_t i) { return builder_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, a[i]); }, a.size());
  }
  Values CopySign(const Values& a, const Values& sign) {
    return Each([&](size_t i) { return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, a[i], sign[i]); },
                a.size());
  }
  // NaN stays.
  Values AtMost(const Values& a, double bound) {
    return Each([&](size_t i) { return Bounded(builder_.CreateFCmpOLT(Constant(bound), a[i]), bound, a[i]); },
                a.size());
  }
  Values AtLeast(const Values& a, double bound) {
    return Each([&](size_t i) { return Bounded(builder_.CreateFCmpOGT(Constant(bound), a[i]), bound, a[i]); },
                a.size());
  }
  // a * 2^exponent, also where that is no ordinary number.
  Values Scale(const Values& a, const Values& exponent) {
    return Each(
        [&](size_t i) {
          return builder_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_pd_512, {},
                                          {a[i], exponent[i], Nothing(), Whole(), Rounding()});
        },
        a.size());
  }
  // The exponent as a number; of 0 minus infinity, of infinity infinity.
  Values Exponent(const Values& a) {
    return Each(
        [&](size_t i) {
          return builder_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_getexp_pd_512, {},
                                          {a[i], Nothing(), Whole(), Rounding()});
        },
        a.size());
  }
  // a without its exponent, from 0.75 to 1.5; 1 for 0 and infinity, NaN for what is negative.
  Values Mantissa(const Values& a) {
    constexpr int kFrom075To15 = 3, kNegativeIsNan = 2 << 2;
    return Each(
        [&](size_t i) {
          return builder_.CreateIntrinsic(
              llvm::Intrinsic::x86_avx512_mask_getmant_pd_512, {},
              {a[i], builder_.getInt32(kFrom075To15 | kNegativeIsNan), Nothing(), Whole(), Rounding()});
        },
        a.size());
  }
  // The lowest three bits of each lane choose.
  Values Choose(std::span<const double, kLanes> from, const Values& by) {
    auto* table = llvm::ConstantDataVector::get(builder_.getContext(), llvm::ArrayRef(from.data(), from.size()));
    auto* integers = llvm::FixedVectorType::get(builder_.getInt64Ty(), kLanes);
    return Each(
        [&](size_t i) {
          return builder_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_permvar_df_512, {},
                                          {table, builder_.CreateBitCast(by[i], integers)});
        },
        by.size());
  }
  // coefficients[0] + coefficients[1] * x + ...
  Values Polynomial(std::span<const double> coefficients, const Values& x) {
    Values sum = All(coefficients.back(), x.size());
    for (size_t power = coefficients.size() - 1; power-- > 0;) sum = MulAdd(sum, x, All(coefficients[power], x.size()));
    return sum;
  }

 private:
  template <typename Make>
  static Values Each(Make make, size_t count) {
    Values all;
    for (size_t i = 0; i < count; ++i) all.push_back(make(i));
    return all;
  }
  llvm::Value* Bounded(llvm::Value* outside, double bound, llvm::Value* a) {
    return builder_.CreateSelect(outside, Constant(bound), a);
  }
  llvm::Value* Nothing() { return llvm::Constant::getNullValue(vector_); }
  llvm::Value* Whole() { return builder_.getInt8(0xff); }
  llvm::Value* Rounding() { return builder_.getInt32(4); }  // as the control word says

  llvm::IRBuilder<> builder_;
  llvm::FixedVectorType* vector_;
};

Values Exp(Maths& maths, const Values& x) {
  const size_t count = x.size();
  const auto bounded = maths.AtLeast(maths.AtMost(x, 1000), -1100);
  const auto k = maths.Round(maths.Mul(bounded, maths.All(kLog2E, count)));
  auto r = maths.MulAdd(k, maths.All(-kLn2, count), bounded);
  r = maths.MulAdd(k, maths.All(-kLn2Rest, count), r);
  return maths.Scale(maths.Polynomial(kExp, r), k);
}

// x = m * 2^e, f = m - 1, s = f / (m + 1): log(m) = f - (f*f/2 - s * (f*f/2 + z * rest(z))), z = s*s.
Values Log(Maths& maths, const Values& x) {
  const size_t count = x.size();
  const auto one = maths.All(1, count);
  const auto m = maths.Mantissa(x);
  const auto e = maths.Sub(maths.Exponent(x), maths.Exponent(m));
  const auto f = maths.Sub(m, one);
  const auto s = maths.Div(f, maths.Add(m, one));
  const auto z = maths.Mul(s, s);
  const auto half = maths.Mul(maths.Mul(f, f), maths.All(0.5, count));
  const auto rest = maths.MulAdd(z, maths.Polynomial(kLog, z), half);
  const auto low = maths.MulAdd(s, rest, maths.Mul(e, maths.All(kLn2Low, count)));
  const auto minus = maths.Sub(maths.Sub(half, low), f);
  return maths.MulAdd(e, maths.All(kLn2High, count), maths.Negative(minus));
}

Values Erf(Maths& maths, const Values& x) {
  constexpr double kIsOne = 5.95;  // from here on
  constexpr int kPowers = std::size(kErf);
  const size_t count = x.size();
  const auto a = maths.AtMost(maths.Magnitude(x), kIsOne);
  const auto piece = maths.MulAdd(a, maths.All(1 / kErfStep, count), maths.All(kToInteger, count));
  const auto k = maths.Sub(piece, maths.All(kToInteger, count));
  const auto t = maths.MulAdd(k, maths.All(-kErfStep, count), a);
  auto sum = maths.Choose(kErf[kPowers - 1], piece);
  for (int power = kPowers - 2; power >= 0; --power) sum = maths.MulAdd(sum, t, maths.Choose(kErf[power], piece));
  return maths.CopySign(sum, x);
}

struct Body {
  const char* scalar;
  const char* symbol;  // libmvec's
  llvm::Intrinsic::ID intrinsic;
  Values (*make)(Maths&, const Values&);
};
constexpr Body kBodies[] = {
    {"exp", "_ZGVeN8v_exp", llvm::Intrinsic::exp, Exp},
    {"log", "_ZGVeN8v_log", llvm::Intrinsic::log, Log},
    {"erf", "_ZGVeN8v_erf", llvm::Intrinsic::not_intrinsic, Erf},
};

const Body* BodyOf(const llvm::Instruction& instruction) {
  const auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
  const auto* callee = call == nullptr ? nullptr : call->getCalledFunction();
  if (callee == nullptr || !callee->isDeclaration()) return nullptr;
  const auto* type = llvm::dyn_cast<llvm::FixedVectorType>(call->getType());
  if (type == nullptr || !type->getElementType()->isDoubleTy() || type->getNumElements() != kLanes) return nullptr;
  for (const auto& body : kBodies) {
    if (callee->isIntrinsic() ? callee->getIntrinsicID() == body.intrinsic : callee->getName() == body.symbol)
      return &body;
  }
  return nullptr;
}

// Calls of one function, of which none needs the result of another: all arguments are there at the first.
struct Group {
  const Body* body;
  std::vector<llvm::Instruction*> calls;
};

bool IsThereAt(const llvm::Value* value, const llvm::Instruction* at) {
  const auto* instruction = llvm::dyn_cast<llvm::Instruction>(value);
  return instruction == nullptr || instruction->getParent() != at->getParent() || instruction->comesBefore(at);
}

std::vector<Group> GroupsOf(llvm::BasicBlock& block) {
  std::vector<Group> groups;
  for (auto& instruction : block) {
    const auto* body = BodyOf(instruction);
    if (body == nullptr) continue;
    auto fits = [&](const Group& group) {
      return group.body == body && group.calls.size() < kTogether &&
             IsThereAt(instruction.getOperand(0), group.calls.front());
    };
    const auto found = std::find_if(groups.begin(), groups.end(), fits);
    if (found != groups.end())
      found->calls.push_back(&instruction);
    else
      groups.push_back({body, {&instruction}});
  }
  return groups;
}

void Inline(const Group& group) {
  Maths maths(group.calls.front());
  Values arguments;
  for (auto* call : group.calls) arguments.push_back(call->getOperand(0));
  const Values results = group.body->make(maths, arguments);
  for (size_t i = 0; i < results.size(); ++i) {
    group.calls[i]->replaceAllUsesWith(results[i]);
    group.calls[i]->eraseFromParent();
  }
}

// Whether LLVM will take libmvec's function for eight doubles.
bool HasForm(const llvm::TargetLibraryInfo& library, const llvm::Function& function) {
  const auto lanes = llvm::ElementCount::getFixed(kLanes);
  return IsInlined(library.getVectorizedFunction(function.getName(), lanes));
}

void TakeTwoVectorsAtATime(llvm::Function& function) {
  auto& context = function.getContext();
  auto* number = llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), kTogether));
  auto* hint = llvm::MDNode::get(context, {llvm::MDString::get(context, "llvm.loop.interleave.count"), number});
  for (auto& block : function) {
    auto* loop = block.getTerminator()->getMetadata(llvm::LLVMContext::MD_loop);
    if (loop == nullptr) continue;
    std::vector<llvm::Metadata*> hints(loop->op_begin(), loop->op_end());
    hints.push_back(hint);
    auto* more = llvm::MDNode::getDistinct(context, hints);
    more->replaceOperandWith(0, more);
    block.getTerminator()->setMetadata(llvm::LLVMContext::MD_loop, more);
  }
}

}  // namespace

bool IsInlined(std::string_view symbol) {
  return std::any_of(std::begin(kBodies), std::end(kBodies), [&](const Body& body) { return symbol == body.symbol; });
}

bool PrepareInlineMaths(llvm::Module& module, const llvm::TargetLibraryInfoImpl& library) {
  const llvm::TargetLibraryInfo info(library);
  const bool found = std::any_of(module.begin(), module.end(), [&](const llvm::Function& function) {
    return function.isDeclaration() && !function.use_empty() && HasForm(info, function);
  });
  if (!found) return false;
  for (auto& function : module) {
    if (!function.isDeclaration()) TakeTwoVectorsAtATime(function);
  }
  return true;
}

void InlineVectorMaths(llvm::Module& module) {
  for (auto& function : module) {
    for (auto& block : function) {
      for (const auto& group : GroupsOf(block)) Inline(group);
    }
  }
}

}  // namespace rbc::host
