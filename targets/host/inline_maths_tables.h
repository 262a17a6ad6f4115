// Made by inline_maths_tables.py. Coefficients from the lowest power on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace rbc::host {

// clang-format off
// exp(r) for |r| <= log(2) / 2.
inline constexpr double kExp[] = {0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.0000000000011p-1, 0x1.555555555555ap-3, 0x1.555555554f0bap-5, 0x1.111111110f21ep-7, 0x1.6c16c1880029fp-10, 0x1.a01a01b1461c5p-13, 0x1.a01991a10d9aep-16, 0x1.71ddf56d8deb5p-19, 0x1.28b4101c77212p-22, 0x1.af632a0f7e2cep-26};
// (log((1 + s) / (1 - s)) / s - 2) / z for z = s * s, s from -1/7 to 1/5.
inline constexpr double kLog[] = {0x1.5555555555555p-1, 0x1.9999999999f30p-2, 0x1.24924923dba6ap-2, 0x1.c71c72e2f78d5p-3, 0x1.745cab2727663p-3, 0x1.3b29fcbbce66dp-3, 0x1.0e88ea4725d3dp-3, 0x1.16b68338bd78bp-3};
// erf(piece * kErfStep + t) for |t| <= kErfStep / 2: of each power its factor in each piece.
inline constexpr int kErfPieces = 8;
inline constexpr double kErfStep = 0x1.9800000000000p-1;
inline constexpr double kErf[][kErfPieces] = {
    {0x0.0p+0, 0x1.7b00578c26037p-1, 0x1.f39bc242e43e5p-1, 0x1.ffa14948549a7p-1, 0x1.ffff2436a21dcp-1, 0x1.ffffff6969fb8p-1, 0x1.ffffffffe202dp-1, 0x1.fffffffffffe4p-1},
    {0x1.20dd750429b6dp+0, 0x1.32281e2fd1a92p-1, 0x1.6c7e64e7281ccp-4, 0x1.e77448fb66bb7p-9, 0x1.6e2367dc27f95p-15, 0x1.34ecf8a3c12cdp-23, 0x1.24caf2c32a405p-33, 0x1.37b83c5163988p-45},
    {-0x1.3c4829d265223p-57, -0x1.e7eff01c364a4p-2, -0x1.2274b86833e32p-3, -0x1.23547f9e40499p-7, -0x1.23c436c37252ep-13, -0x1.33b80baaef9cfp-21, -0x1.5dfa963273cb5p-31, -0x1.b2b3ed82b49c6p-43},
    {-0x1.812746b0379cap-2, 0x1.b8e5c62387de3p-5, 0x1.efb890e5b650dp-4, 0x1.a7afa54f43821p-7, 0x1.26bf00867a828p-12, 0x1.8bd13a786d184p-20, 0x1.10ca1ff2d30cep-29, 0x1.8da4c467bb7b1p-41},
    {-0x1.0ac3bbed40f5fp-43, 0x1.195fbcd66abc0p-3, -0x1.92c7dbb8a8f37p-5, -0x1.9953c90eb7e08p-7, -0x1.a51fb50a72803p-12, -0x1.70a0bda04a4fap-19, -0x1.377c7e436c72cp-28, -0x1.0c34ed19ef949p-39},
    {0x1.ce2f21a09336cp-4, -0x1.eb0565cf0499dp-5, -0x1.454770877a7b7p-8, 0x1.085039de30412p-7, 0x1.c0825378fdfb1p-12, 0x1.081065e8007b6p-18, 0x1.156649d844a18p-27, 0x1.1c4e81fc17211p-38},
    {-0x1.d32134e676f11p-34, -0x1.5368d7223facep-6, 0x1.02047ab9e874dp-6, -0x1.95e21525dfb70p-9, -0x1.6c3dc00103032p-12, -0x1.2d8f471447a27p-18, -0x1.9092fd40d72a5p-27, -0x1.ece053566b5d9p-38},
    {-0x1.b82ce158de600p-6, 0x1.37188903a6095p-6, -0x1.88835708003a8p-8, 0x1.981721221b981p-13, 0x1.c1dd14381b0cep-13, 0x1.186bc69132bd6p-18, 0x1.e12a4e88b734fp-27, 0x1.66e98270a893dp-37},
    {-0x1.1da86700cc4a5p-26, 0x1.58257f979da67p-11, -0x1.03106af4d575bp-10, 0x1.1eece22864db7p-11, -0x1.94c35e21ba545p-14, -0x1.ad696abe8f329p-19, -0x1.e94d67556d4a3p-27, -0x1.bfa69cc633a8fp-37},
    {0x1.565dd588f091fp-8, -0x1.f3298fbd6c6bfp-9, 0x1.8d0a334e75b84p-10, -0x1.5888a77389945p-12, 0x1.bf0aab1e36831p-16, 0x1.0f27c9239d20cp-19, 0x1.aa53aed78a844p-27, 0x1.e5282ee409b84p-37},
    {-0x1.52da41d181d06p-21, 0x1.00ff26aa3f3cap-11, -0x1.41fb653ef8747p-12, 0x1.f5b68c83fdd08p-15, 0x1.6a8b1f143d7c6p-23, -0x1.17765ff568b0cp-20, -0x1.40bb065fa564cp-27, -0x1.ce69e5c41b71dp-37},
    {-0x1.bef1e86ce6755p-11, 0x1.217b4222803b5p-11, -0x1.4d2a3a7945374p-13, 0x1.d1f16d7a93f36p-16, -0x1.2b32e84af903dp-18, 0x1.c6ddcbd4e171bp-22, 0x1.a20b17a4340b3p-28, 0x1.8527aeff295d8p-37},
    {-0x1.9fc35d274256dp-18, -0x1.346ba2e12ce85p-13, 0x1.7386e8837be0fp-14, -0x1.51e5cdab62806p-16, 0x1.3b11a600d5673p-19, -0x1.0a1440adf4ea5p-23, -0x1.d69b7fe1ed240p-29, -0x1.1e31b10052643p-37},
    {0x1.14265c9916c25p-13, -0x1.f5221c30f9b16p-15, 0x1.807e8fe6c1c44p-21, 0x1.d24cd2e8d90e0p-19, -0x1.17428bc43e0b0p-21, 0x1.13c71a87ed90bp-26, 0x1.ca1f7bd85f35ap-30, 0x1.82402d9a080bfp-38},
    {-0x1.a6527d379249ep-17, 0x1.94b1142a6da07p-16, -0x1.7a9380037fef4p-17, 0x1.97ae96da0cc86p-20, -0x1.8300565b50488p-24, 0x1.22fa8bb9aa4aep-27, -0x1.8d3be3602c04ap-31, -0x1.13459c70c08e2p-38},
    {-0x1.03477d7aa084bp-17, 0x1.2d805153cc88ap-18, 0x1.2358978709b53p-19, -0x1.c9bf3b22568dep-21, 0x1.98b36f3ed8109p-24, -0x1.9b7bce051a094p-28, 0x1.028a2178ea3b6p-32, 0x1.1e51acdf040f5p-39},
};
// clang-format on

}  // namespace rbc::host
